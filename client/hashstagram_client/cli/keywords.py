"""Keywords: hashtags written into photos, where photo programs look for them."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import exiv2

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".webp"})
XMP = "Xmp.dc.subject"
IPTC = "Iptc.Application2.Keywords"
IPTC_CHARSET = "Iptc.Envelope.CharacterSet"
UTF_8 = "\x1b%G"
IPTC_BYTES = 64  # of one keyword, by its standard


class KeywordsError(Exception):
    """A file takes no keywords; the message says why."""


def check_installed() -> None:
    """See that the library is there.

    Raises:
        click.UsageError: it is not.
    """
    try:
        import exiv2  # noqa: F401
    except ImportError as err:
        raise click.UsageError("--write-xmp needs exiv2: pip install exiv2") from err


def add_keywords(photo: Path, tags: Sequence[str]) -> list[str]:
    """Add tags to a photo's keywords, and keep the photo as it was beside it.

    They go into XMP's dc:subject and, where the format has it, into IPTC's keywords; neither the
    picture nor other keywords change. The original becomes NAME_original, as exiftool has it; one
    that is there already is older, and stays.

    Args:
        photo: a JPEG, PNG, TIFF or WebP file.
        tags: without `#`.

    Returns:
        The tags that it did not have before.

    Raises:
        KeywordsError: the file is of another format, or damaged.
        OSError: it cannot be read or written.
    """
    import exiv2

    if photo.suffix.lower() not in SUFFIXES:
        raise KeywordsError("only JPEG, PNG, TIFF and WebP files take keywords")
    exiv2.LogMsg.setLevel(exiv2.LogMsg.Level.mute)
    part = photo.with_name(f".{photo.stem}.part{photo.suffix}")
    shutil.copy2(photo, part)
    try:
        added = _add(part, tags)
        if added:
            original = photo.with_name(f"{photo.name}_original")
            if not original.exists():
                shutil.copy2(photo, original)
            os.replace(part, photo)
        return added
    except exiv2.Exiv2Error as err:
        raise KeywordsError(str(err.args[-1]) if err.args else "it is damaged") from err
    finally:
        part.unlink(missing_ok=True)


def read_keywords(photo: Path) -> list[str]:
    """The keywords in a photo's XMP."""
    import exiv2

    image = exiv2.ImageFactory.open(str(photo))
    image.readMetadata()
    return _held(image.xmpData())


def _held(xmp: Any) -> list[str]:
    return [
        datum.toString(index)
        for datum in xmp
        if datum.key() == XMP
        for index in range(datum.count())
    ]


def _add(file: Path, tags: Sequence[str]) -> list[str]:
    import exiv2

    image = exiv2.ImageFactory.open(str(file))
    image.readMetadata()
    xmp = image.xmpData()
    held = _held(xmp)
    known = {keyword.casefold() for keyword in held}
    added = [tag for tag in dict.fromkeys(tags) if tag.casefold() not in known]
    if added:
        xmp[XMP] = exiv2.XmpArrayValue([*held, *added], exiv2.TypeId.xmpBag)
        image.setXmpData(xmp)
        _add_to_iptc(image, added)
        image.writeMetadata()
    return added


def _add_to_iptc(image: "exiv2.Image", tags: Sequence[str]) -> None:
    """Where there is none, or it is in UTF-8: nobody knows what other bytes in it mean."""
    import exiv2

    if image.checkMode(exiv2.MetadataId.Iptc) != exiv2.AccessMode.amReadWrite:
        return
    iptc = image.iptcData()
    if not iptc.empty() and iptc.detectCharset() not in ("UTF-8", "ASCII"):
        return
    held = {datum.toString().casefold() for datum in iptc if datum.key() == IPTC}
    for tag in tags:
        if tag.casefold() not in held and len(tag.encode()) <= IPTC_BYTES:
            iptc.add(exiv2.IptcKey(IPTC), exiv2.StringValue(tag))
    iptc[IPTC_CHARSET] = UTF_8
    image.setIptcData(iptc)
