"""Hostile files: what the internet sends instead of a photo, and odd files that are good.

Run: python -m benchmarks.hostile_files DIR [--seed N]     writes them, and expected.json
"""

import argparse
import json
import random
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import pillow_heif
from PIL import Image

from serving.sample_photo import draw_sunset

pillow_heif.register_heif_opener()

Expected = Literal["4xx", "any", "200"]

SIZE = (160, 120)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
FLIPS = 75  # files with flipped bits, of each format
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Sample:
    """One file.

    Args:
        name: what it is; its kind stands before the first hyphen.
        data: its bytes.
        expected: "4xx" must be refused, "200" must be answered, "any" may be either.
    """

    name: str
    data: bytes
    expected: Expected


def hostile(seed: int = 4) -> list[Sample]:
    """More than 1,000 files, the same for the same seed."""
    dice = random.Random(seed)
    picture = draw_sunset().resize(SIZE)
    whole = {fmt: encode(picture, fmt) for fmt in FORMATS}
    return [
        *_truncated(whole),
        *_flipped(whole, dice),
        *_not_images(picture, dice),
        *_other_formats(picture),
        *_wrong_heads(whole),
        *_bombs(),
        *_jpegs(picture, whole["JPEG"]),
        *_pngs(picture),
        *_tiffs(picture, dice),
        *_animations(picture),
        *_polyglots(whole),
    ]


def good() -> list[Sample]:
    """Files that every photo service takes: all formats, modes, orientations and shapes."""
    picture = draw_sunset().resize(SIZE)
    return [Sample(name, data, "200") for name, data in _good(picture)]


def encode(picture: Image.Image, fmt: str, **options: object) -> bytes:
    """A picture as a file's bytes."""
    file = BytesIO()
    picture.save(file, fmt, **options)
    return file.getvalue()


def _good(picture: Image.Image) -> Iterator[tuple[str, bytes]]:
    for fmt in FORMATS:
        yield f"format-{fmt}", encode(picture, fmt)
        for size in ((1, 1), (1, 5000), (5000, 1)) if fmt != "HEIF" else ():  # x265 cannot
            yield f"shape-{fmt}-{size[0]}x{size[1]}", encode(picture.resize(size), fmt)
    for mode in ("1", "L", "P", "LA", "RGBA", "I;16"):
        deep = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
        image = deep if mode == "I;16" else picture.convert(mode)
        for fmt in ("PNG", "TIFF"):
            yield f"mode-{fmt}-{mode}", encode(image, fmt)
    for mode, fmt in (("CMYK", "JPEG"), ("CMYK", "TIFF"), ("LAB", "TIFF"), ("YCbCr", "TIFF")):
        image = Image.new("LAB", SIZE, (128, 140, 150)) if mode == "LAB" else picture.convert(mode)
        yield f"mode-{fmt}-{mode}", encode(image, fmt)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for fmt in ("JPEG", "PNG", "WEBP", "TIFF"):
            yield f"orientation-{fmt}-{orientation}", encode(picture, fmt, exif=exif)
    for subsampling in (0, 1, 2):
        for progressive in (False, True):
            yield (
                f"jpeg-{subsampling}-{progressive}",
                encode(picture, "JPEG", subsampling=subsampling, progressive=progressive),
            )
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"tiff-{compression}", encode(picture, "TIFF", compression=compression)
    others = [picture.rotate(90), picture.rotate(180)]
    for fmt in ("GIF", "PNG", "WEBP", "TIFF", "MPO"):
        yield f"frames-{fmt}", encode(picture, fmt, save_all=True, append_images=others)
    yield "phone-12mp", encode(picture.resize((4032, 3024)), "JPEG", quality=85)
    yield "phone-48mp", encode(picture.resize((8064, 6048)), "JPEG", quality=60)


def _truncated(whole: dict[str, bytes]) -> Iterator[Sample]:
    for fmt, data in whole.items():
        for tenth in range(1, 10):
            yield Sample(f"truncated-{fmt}-{tenth}", data[: len(data) * tenth // 10], "4xx")
        for length in (0, 1, 2, 3, 4, 8, 12, 16, 24, 32, 64, 100):
            yield Sample(f"header-{fmt}-{length}", data[:length], "4xx")
        for missing in (1, 2, 5, 16):
            yield Sample(f"end-{fmt}-{missing}", data[:-missing], "any")
        yield Sample(f"twice-{fmt}", data + data, "any")
        yield Sample(f"tail-{fmt}", data + b"\0" * 100_000, "any")


def _flipped(whole: dict[str, bytes], dice: random.Random) -> Iterator[Sample]:
    for fmt, data in whole.items():
        for number in range(FLIPS):
            damaged = bytearray(data)
            # Half of them in the header, where they hurt the most.
            reach = len(data) if number % 2 else min(len(data), 300)
            for _ in range(1 + number % 8):
                damaged[dice.randrange(reach)] ^= 1 << dice.randrange(8)
            yield Sample(f"flipped-{fmt}-{number}", bytes(damaged), "any")


def _not_images(picture: Image.Image, dice: random.Random) -> Iterator[Sample]:
    texts = {
        "empty": b"",
        "zero": b"\0" * 100_000,
        "text": b"This is not a photo.\n" * 100,
        "html": b"<!DOCTYPE html><html><body><img src=x onerror=alert(1)></body></html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script/></svg>',
        "svg-xxe": b'<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
        "json": b'{"image": "aGVsbG8="}',
        "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n%%EOF\n",
        "zip": b"PK\x03\x04" + b"\0" * 60,
        "gzip": b"\x1f\x8b\x08" + b"\0" * 60,
        "elf": b"\x7fELF\x02\x01\x01" + b"\0" * 100,
        "exe": b"MZ" + b"\0" * 200,
        "mp4": b"\0\0\0\x20ftypisom" + b"\0" * 100,
        "mp3": b"ID3\x04" + b"\0" * 100,
        "php": b"<?php system($_GET['c']); ?>",
        "pickle": b"\x80\x04cos\nsystem\n(S'id'\ntR.",
        "mvg": b"push graphic-context\nimage over 0,0 0,0 'https://localhost/x'\n",
        "crlf": b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    }
    for name, data in texts.items():
        yield Sample(f"other-{name}", data, "4xx")
    for number in range(60):
        yield Sample(f"noise-{number}", dice.randbytes(1 << number % 15), "4xx")


def _other_formats(picture: Image.Image) -> Iterator[Sample]:
    """Formats that Pillow reads, and that we do not take."""
    for fmt in ("ICO", "PPM", "TGA", "PCX", "SGI", "DDS", "JPEG2000", "ICNS", "QOI"):
        yield Sample(f"unlisted-{fmt}", encode(picture.resize((64, 64)), fmt), "4xx")
    yield Sample("unlisted-EPS", encode(picture, "EPS"), "4xx")
    yield Sample("unlisted-PDF", encode(picture, "PDF"), "4xx")
    psd = b"8BPS\0\1" + b"\0" * 6 + struct.pack(">HIIHH", 3, 9, 9, 8, 3) + b"\0" * 400
    yield Sample("unlisted-PSD", psd, "4xx")
    cards = ("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 99999", "NAXIS2  = 99999")
    fits = "".join(f"{card:80}" for card in (*cards, "END")).encode()
    yield Sample("unlisted-FITS", fits + b"\0" * 2880, "4xx")
    xpm = b'/* XPM */\nstatic char *x[] = {"1 1 1 1", "a c #000000", "a"};\n'
    yield Sample("unlisted-XPM", xpm, "4xx")
    yield Sample("unlisted-XBM", b"#define x_width 99999\n#define x_height 99999\n", "4xx")
    yield Sample("unlisted-WMF", b"\xd7\xcd\xc6\x9a" + b"\0" * 80, "4xx")


def _wrong_heads(whole: dict[str, bytes]) -> Iterator[Sample]:
    for one, head in whole.items():
        for other, data in whole.items():
            if one != other:
                yield Sample(f"head-{one}-{other}", head[:16] + data[16:], "any")


def _bombs() -> Iterator[Sample]:
    """A few bytes that promise many pixels."""
    rows = zlib.compress(b"\0" * 1_000_000)
    for side in (12_000, 30_000, 50_000, 65_535):
        for bits, colour in ((1, 0), (8, 2), (8, 6), (16, 2), (8, 3)):
            yield Sample(
                f"bomb-png-{side}-{bits}-{colour}", _png(side, side, bits, colour, rows), "4xx"
            )
        gif = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\0" * 6
        frame = b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\0;"
        yield Sample(f"bomb-gif-{side}", gif + frame, "4xx")
        bmp = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
        bmp += struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 1, 1, 0, 0)
        yield Sample(f"bomb-bmp-{side}", bmp + b"\0" * 99, "4xx")
        yield Sample(f"bomb-tiff-{side}", _tiff(side, side, 1, b"\0" * 99), "4xx")
        yield Sample(f"bomb-tiff-g4-{side}", _tiff(side, side, 4, b"\x00\x10\x01" * 99), "4xx")
        yield Sample(f"bomb-jpeg-{side}", _jpeg_head(side, side) + b"\x00" * 99, "4xx")
    for side in (9_000, 12_000, 16_383):
        canvas = (side - 1).to_bytes(3, "little") * 2
        body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas
        yield Sample(f"bomb-webp-x-{side}", b"RIFF" + struct.pack("<I", 22) + body, "4xx")
        sides = struct.pack("<I", (side - 1) | (side - 1) << 14)
        body = b"WEBPVP8L" + struct.pack("<I", 5) + b"\x2f" + sides + b"\0" * 9
        yield Sample(f"bomb-webp-l-{side}", b"RIFF" + struct.pack("<I", 27) + body, "4xx")
    yield Sample("bomb-jpeg-real", encode(Image.new("L", (16_000, 12_000)), "JPEG"), "4xx")
    yield Sample("bomb-png-real", encode(Image.new("1", (9_000, 9_000)), "PNG"), "4xx")
    flat = Image.new("RGB", (7_000, 7_000))
    yield Sample("bomb-png-49mp", encode(flat, "PNG", compress_level=1), "4xx")
    yield Sample("bomb-webp-16mp", encode(flat.resize((4000, 4000)), "WEBP", method=0), "4xx")
    for compression in ("tiff_lzw", "tiff_adobe_deflate"):
        data = encode(flat, "TIFF", compression=compression)
        yield Sample(f"bomb-tiff-{compression}-49mp", data, "4xx")
    data = encode(flat, "JPEG", progressive=True, subsampling=0, quality=10)
    yield Sample("bomb-jpeg-progressive-49mp", data, "4xx")


def _jpegs(picture: Image.Image, jpeg: bytes) -> Iterator[Sample]:
    yield Sample("scans-7000", scan_bomb(4000, 7_000), "4xx")
    yield Sample("scans-1000", scan_bomb(800, 1_000), "4xx")
    hidden = scan_bomb(800, 1_000, between=b"\xff\xfe\x00\x04\xff\xd9")
    yield Sample("scans-behind-false-ends", hidden, "4xx")
    for code in (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF):
        changed = jpeg.replace(b"\xff\xc0", bytes((0xFF, code)), 1)
        yield Sample(f"jpeg-sof{code - 0xC0}", changed, "any")
    at = jpeg.index(b"\xff\xc0")
    for bits in (0, 1, 12, 16, 255):
        yield Sample(f"jpeg-{bits}-bit", jpeg[: at + 4] + bytes([bits]) + jpeg[at + 5 :], "4xx")
    for layers in (0, 2, 5, 255):
        changed = jpeg[: at + 9] + bytes([layers]) + jpeg[at + 10 :]
        yield Sample(f"jpeg-{layers}-layers", changed, "4xx")
    for width, height in ((0, 0), (0, 9), (9, 0), (65_535, 1)):
        size = struct.pack(">HH", height, width)
        yield Sample(f"jpeg-{width}x{height}", jpeg[: at + 5] + size + jpeg[at + 9 :], "any")
    for number in (10, 100, 300):
        icc = b"\xff\xe2\xff\xffICC_PROFILE\0\1\1" + b"x" * 65_519
        yield Sample(f"jpeg-icc-{number}", jpeg[:2] + icc * number + jpeg[2:], "any")
        exif = b"\xff\xe1\xff\xffExif\0\0" + b"x" * 65_527  # Pillow joins all of them
        yield Sample(f"jpeg-exif-{number}", jpeg[:2] + exif * number + jpeg[2:], "any")
    yield Sample("jpeg-comments", jpeg[:2] + b"\xff\xfe\0\2" * 1_000_000 + jpeg[2:], "4xx")
    yield Sample("jpeg-fill", jpeg[:2] + b"\xff" * 2_000_000 + jpeg[2:], "any")
    for name, exif in _exifs():
        block = b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif
        yield Sample(f"exif-{name}", jpeg[:2] + block + jpeg[2:], "any")
    yield Sample("jpeg-mpo-cut", encode(picture, "MPO", save_all=True)[:-2], "any")


def _exifs() -> Iterator[tuple[str, bytes]]:
    """EXIF that leads astray: loops, offsets into nothing, counts beyond the end."""
    loop = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x8769, 4, 1, 8) + b"\x08\0\0\0"
    yield "loop", loop
    yield "loop-gps", loop.replace(b"\x69\x87", b"\x25\x88")
    yield "nowhere", b"II*\0\xff\xff\xff\xff"
    yield "endless", b"MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 3000
    huge = struct.pack("<HHII", 0x0112, 3, 0xFFFFFFFF, 8)
    yield "count", b"II*\0\x08\0\0\0\x01\0" + huge + b"\0" * 4
    for value in (0, 9, 255, 65_535):
        entry = struct.pack("<HHIHH", 0x0112, 3, 1, value, 0)
        yield f"orientation-{value}", b"II*\0\x08\0\0\0\x01\0" + entry + b"\0" * 4
    text = struct.pack("<HHI", 0x0112, 2, 4) + b"six\0"
    yield "orientation-text", b"II*\0\x08\0\0\0\x01\0" + text + b"\0" * 4


def _pngs(picture: Image.Image) -> Iterator[Sample]:
    png = encode(picture, "PNG")
    bomb = zlib.compress(b"\0" * 80_000_000, 1)
    for kind, head in (
        (b"iCCP", b"x\0\0"),
        (b"zTXt", b"x\0\0"),
        (b"iTXt", b"x\0\1\0\0\0"),
    ):
        chunk = _chunk(kind, head + bomb)
        for number in (1, 10):
            data = png[:33] + chunk * number + png[33:]
            yield Sample(f"png-{kind.decode()}-{number}", data, "any")
    small = zlib.compress(b"\0" * 900_000, 9)
    many = _chunk(b"zTXt", b"x\0\0" + small) * 200
    yield Sample("png-zTXt-many", png[:33] + many + png[33:], "any")
    yield Sample("png-chunks", png[:33] + _chunk(b"tEXt", b"x\0") * 300_000 + png[33:], "4xx")
    yield Sample("png-idat-none", _png(9, 9, 8, 2, b""), "4xx")
    yield Sample("png-idat-short", _png(900, 900, 8, 2, zlib.compress(b"\0" * 99)), "4xx")
    yield Sample("png-crc", png[:29] + b"\0\0\0\0" + png[33:], "4xx")
    for bits, colour in ((3, 0), (0, 0), (255, 2), (8, 1), (8, 5), (8, 255), (16, 3)):
        yield Sample(f"png-{bits}-{colour}", _png(9, 9, bits, colour, small), "4xx")
    yield Sample("png-0x0", _png(0, 0, 8, 2, small), "4xx")
    yield Sample("png-2g", _png(0x7FFFFFFF, 0x7FFFFFFF, 8, 2, small), "4xx")
    plte = _chunk(b"IHDR", struct.pack(">IIBBBBB", 99, 99, 8, 3, 0, 0, 0))
    rows = zlib.compress((b"\0" + b"\xff" * 99) * 99)
    data = PNG + plte + _chunk(b"PLTE", b"\0\0\0") + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    yield Sample("png-short-palette", data, "any")


def _tiffs(picture: Image.Image, dice: random.Random) -> Iterator[Sample]:
    for compression in (
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        32771,
        32773,
        32809,
        34661,
        34676,
        34712,
        34925,
        50000,
    ):
        data = _tiff(64, 64, compression, dice.randbytes(500))
        yield Sample(f"tiff-compression-{compression}", data, "any")
    loop = bytearray(_tiff(9, 9, 1, b"\0" * 500))
    loop[-4:] = struct.pack("<I", 8)
    yield Sample("tiff-loop", bytes(loop), "any")
    for tag, kind in ((273, 4), (279, 4), (320, 3), (258, 3), (50000, 5), (50000, 12), (700, 1)):
        entry = struct.pack("<HHII", tag, kind, 2_000_000, 8)
        data = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + b"\0" * 16_000_000
        yield Sample(f"tiff-count-{tag}-{kind}", data, "4xx")
    entries = struct.pack("<HHII", 50000, 4, 1, 1) * 60_000
    yield Sample("tiff-tags", b"II*\0\x08\0\0\0" + struct.pack("<H", 60_000) + entries, "4xx")
    strips = encode(picture.resize((1, 60_000)), "TIFF", strip_size=1, compression="raw")
    yield Sample("tiff-strips", strips, "any")
    yield Sample("tiff-big", b"II+\0\x08\0\0\0" + b"\xff" * 100, "4xx")
    frames = [Image.new("1", (1, 1))] * 500
    yield Sample(
        "tiff-frames", encode(frames[0], "TIFF", save_all=True, append_images=frames), "any"
    )


def _animations(picture: Image.Image) -> Iterator[Sample]:
    small = picture.resize((32, 24))
    frames = [small.rotate(angle) for angle in range(0, 360, 3)]
    for fmt in ("GIF", "PNG", "WEBP", "AVIF"):
        data = encode(small, fmt, save_all=True, append_images=frames)
        yield Sample(f"frames-{fmt}", data, "any")
        yield Sample(f"frames-{fmt}-cut", data[: len(data) // 2], "any")
    gif = encode(small, "GIF")
    head, image = gif[: gif.index(b",")], gif[gif.index(b",") : -1]
    yield Sample("frames-gif-5000", head + image * 5_000 + b";", "any")
    comment = b"!\xfe\xff" + b"x" * 255 + b"\0"
    yield Sample("gif-comments", head + comment * 60_000 + image + b";", "any")
    yield Sample("gif-extensions", head + b"!\x01\0" * 2_000_000 + image + b";", "4xx")


def _polyglots(whole: dict[str, bytes]) -> Iterator[Sample]:
    for fmt, data in whole.items():
        yield Sample(f"polyglot-zip-{fmt}", data + b"PK\x03\x04" + b"\0" * 60, "any")
        yield Sample(f"polyglot-html-{fmt}", data + b"<script>alert(1)</script>", "any")
        yield Sample(f"polyglot-pdf-{fmt}", b"%PDF-1.7\n" + data, "4xx")
        yield Sample(f"polyglot-before-{fmt}", b"\n" + data, "4xx")


def scan_bomb(side: int, scans: int, between: bytes = b"") -> bytes:
    """A progressive JPEG that is gone over thousands of times: each scan holds next to nothing."""
    blank = encode(Image.new("L", (side, side)), "JPEG", progressive=True)
    first = blank.index(b"\xff\xda")
    # An AC scan in which one run of ends of blocks covers all there are, 32,767 at a time.
    table = b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + b"\1" + b"\0" * 15 + b"\xe0"
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0x00, 1, 63, 0x00)
    return (
        blank[:first]
        + blank[first:-2]
        + (between + table + scan + b"\0\0\0\0") * scans
        + b"\xff\xd9"
    )


def _jpeg_head(width: int, height: int) -> bytes:
    jpeg = encode(Image.new("RGB", (8, 8)), "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    end = jpeg.index(b"\xff\xda")
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 : end + 14]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, bits: int, colour: int, idat: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    palette = _chunk(b"PLTE", b"\0" * 6) if colour == 3 else b""
    return PNG + _chunk(b"IHDR", header) + palette + _chunk(b"IDAT", idat) + _chunk(b"IEND", b"")


def _tiff(width: int, height: int, compression: int, strip: bytes) -> bytes:
    """A grey or, for fax compressions, a black and white TIFF of one strip."""
    bits = 1 if compression in (2, 3, 4) else 8
    tags = (
        *((256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, compression)),
        *((262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, len(strip))),
    )
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + directory


def main(argv: Sequence[str] | None = None) -> int:
    """Write all files, and what is expected of each."""
    parser = argparse.ArgumentParser(description="Write hostile and odd image files.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, default=4, help="default: %(default)s")
    args = parser.parse_args(argv)
    args.directory.mkdir(parents=True, exist_ok=True)
    samples = [*hostile(args.seed), *good()]
    for sample in samples:
        (args.directory / sample.name).write_bytes(sample.data)
    expected = {sample.name: sample.expected for sample in samples}
    (args.directory / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(f"{len(samples)} files in {args.directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
