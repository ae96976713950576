"""Repack: an archive again with other contents, listed beside it as build_mar.sh lists its own."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from serving.archive import trust


def repack(archive: Path, target: Path, changes: Mapping[str, bytes]) -> Path:
    """A copy of an archive in which these files are others; where it is, for the caller.

    Raises:
        ArchiveError: the copy is not one that would be served.
    """
    with ZipFile(archive) as source, ZipFile(target, "w") as copy:
        for entry in source.infolist():
            fresh = ZipInfo(entry.filename)
            fresh.external_attr = entry.external_attr
            with copy.open(fresh, "w", force_zip64=True) as to:
                if entry.filename in changes:
                    to.write(changes[entry.filename])
                else:
                    with source.open(entry) as kept:
                        shutil.copyfileobj(kept, to)
    trust(target)
    return target
