"""The photos that somebody means by files, folders, patterns and URLs."""

from collections.abc import Iterable, Iterator
from glob import glob, has_magic
from pathlib import Path

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
    | {".heic", ".heif"}
)


def is_one_photo(name: str) -> bool:
    """Whether it stands for itself and not for what is found by it."""
    return is_url(name) or not (Path(name).is_dir() or _is_pattern(name))


def is_url(name: str) -> bool:
    """Whether it lies elsewhere."""
    return name.lower().startswith(("http://", "https://"))


def find(names: Iterable[str]) -> list[str]:
    """All photos, each once, in order; of a folder those below it with a photo's suffix.

    What is not there stays in the list: asking for it tells the reason.
    """
    return list(dict.fromkeys(photo for name in names for photo in _find(name)))


def _find(name: str) -> Iterator[str]:
    if is_url(name):
        yield name
    elif Path(name).is_dir():
        yield from sorted(map(str, filter(_is_photo, Path(name).rglob("*"))))
    elif _is_pattern(name):
        yield from (path for path in sorted(glob(name, recursive=True)) if Path(path).is_file())
    else:
        yield name


def _is_pattern(name: str) -> bool:
    return has_magic(name) and not Path(name).exists()


def _is_photo(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return path.suffix.lower() in SUFFIXES and not hidden and path.is_file()
