"""Screening: what an image file's bytes tell before any decoder reads them.

Decoders trust headers. These checks look only at structure, and cost microseconds a photo.
"""

import re
from io import BytesIO
from struct import unpack_from

import numpy as np

from hashstagram.errors import ImageTooLargeError, InvalidImageError

MAX_SCANS = 100  # a progressive JPEG has about ten
MAX_READS = 20_000  # a photo takes some hundred, a 20 MB PNG of small chunks some thousand
MAX_EXIFS = 50  # of 64 kB each; Pillow puts them together, which takes time by the square
MAX_TAG_VALUES = 100_000  # a TIFF of one line a strip has as many as lines
TOO_COMPLEX = "The image file has far too many parts. Save it anew and send the new file."

_EXIF = b"Exif\0\0"
_SCAN = b"\xff\xda"
# In a scan's data a 0xff is followed by a zero or a restart marker; anything else ends the scan.
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
_LONE_MARKERS = (0x01, *range(0xD0, 0xD9))  # those without a length
_TEXT_TYPES = (1, 2, 6, 7)  # a byte a value: profiles and the like, which nobody unpacks


class BoundedReader(BytesIO):
    """An image file in memory that ends the reading of one with millions of tiny parts.

    Pillow's parsers walk chunks, segments and blocks in Python, some microseconds each.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as BytesIO does.

        Raises:
            InvalidImageError: this is the read after MAX_READS.
        """
        self.reads += 1
        if self.reads > MAX_READS:
            raise InvalidImageError(TOO_COMPLEX)
        return super().read(size)


def screen(data: bytes, max_pixels: int) -> None:
    """Refuse files that are expensive before Pillow tells their size, or whatever their size is.

    Raises:
        ImageTooLargeError: a WebP canvas of more pixels; Pillow would make it at once.
        InvalidImageError: a JPEG of too many scans or EXIF blocks, or a TIFF with a tag of too
            many values.
    """
    if data.startswith(b"\xff\xd8") and _has_many_parts(data):
        raise InvalidImageError(TOO_COMPLEX)
    if data[:4] == b"RIFF" and _webp_pixels(data) > max_pixels:
        raise ImageTooLargeError("The image has too many pixels. Send a smaller one.")
    if data[:2] in (b"II", b"MM") and _has_large_tags(data):
        raise InvalidImageError(TOO_COMPLEX)


def decodes_in_one_scan(data: bytes) -> bool:
    """Whether a JPEG's first scan holds all its components: then no decoder keeps coefficients."""
    position, components = 2, 0
    while marker := _MARKER.search(data, position):
        code, position = marker[1][0], marker.end()
        if code in _LONE_MARKERS:
            continue
        if len(data) < position + 8:
            return False
        if code in (0xC0, 0xC1):
            components = data[position + 7]
        elif code == 0xDA:
            return data[position + 2] == components
        position += unpack_from(">H", data, position)[0]
    return False


def _has_many_parts(data: bytes) -> bool:
    # The first four bytes are found quickly, and rare: only then is it worth counting all six.
    if _count(_EXIF[:4], data) > MAX_EXIFS and data.count(_EXIF) > MAX_EXIFS:
        return True
    if _count(_SCAN, data) <= MAX_SCANS:
        return False
    # Thumbnails, further pictures and appended videos hold these two bytes too: count exactly.
    scans, position = 0, 2
    while scans <= MAX_SCANS and (marker := _MARKER.search(data, position)):
        code, position = marker[1][0], marker.end()
        if code == 0xD9:
            return False
        if code not in _LONE_MARKERS and len(data) >= position + 2:
            scans += code == 0xDA
            position += unpack_from(">H", data, position)[0]
    return scans > MAX_SCANS


def _count(word: bytes, data: bytes) -> int:
    """How often a word of two or four bytes occurs, in a fifth of the time of bytes.count."""
    size, found = len(word), 0
    [value] = np.frombuffer(word, f"<u{size}")
    for start in range(size):
        aligned = np.frombuffer(data, np.uint8)[start:]
        words = aligned[: len(aligned) // size * size].view(value.dtype)
        found += int(np.count_nonzero(words == value))
    return found


def _webp_pixels(data: bytes) -> int:
    """The canvas that a WebP file's header promises; 0 where it is none that we know."""
    if len(data) < 30:
        return 0
    if data[12:16] == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif data[12:16] == b"VP8L":
        bits = unpack_from("<I", data, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in unpack_from("<HH", data, 26))
    return int(width * height)


def _has_large_tags(data: bytes) -> bool:
    """Whether the first directory of a TIFF names a tag of more numbers than any image needs."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\x00", b"\x00+")
    where, count, entry = ("Q", "Q", "HHQ") if big else ("I", "H", "HHI")
    at, start, step = (8, 8, 20) if big else (4, 2, 12)
    if len(data) < 16:
        return False
    directory = unpack_from(order + where, data, at)[0]
    if len(data) < directory + start:
        return False
    first = directory + start
    last = first + step * unpack_from(order + count, data, directory)[0]
    for position in range(first, min(last, len(data) - step), step):
        _, kind, values = unpack_from(order + entry, data, position)
        if values > MAX_TAG_VALUES and kind not in _TEXT_TYPES:
            return True
    return False
