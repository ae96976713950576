"""HARRISON's file format: the photos' paths, their tags and the vocabulary, in three text files.

data_list.txt has one relative image path a line, tag_list.txt the tags of the same line
separated by blanks, vocab_index.txt a tag and its index a line (Park, Li, Kim 2016,
arXiv 1605.05054). A fourth file of ours, unsure_list.txt, may name for each line the tags that
the photo may show although tag_list.txt does not say so.
"""

from dataclasses import dataclass
from pathlib import Path

from hashstagram.vocabulary import Vocabulary

FILES = ("data_list.txt", "tag_list.txt", "vocab_index.txt")
UNSURE_LIST = "unsure_list.txt"


class DataError(ValueError):
    """A photo set cannot be used; the message says which file and what is wrong with it."""


@dataclass(frozen=True)
class HarrisonLabels:
    """The label files as they are; no image has been looked at."""

    paths: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    vocabulary: Vocabulary
    unsure: tuple[tuple[str, ...], ...]


def read_harrison(root: Path) -> HarrisonLabels:
    """Read the label files of a photo set; without unsure_list.txt no tag is unsure.

    Raises:
        DataError: a file is missing, or the files do not fit each other.
    """
    _check_folder(root)
    paths = tuple(line.strip() for line in _lines(root / "data_list.txt"))
    if not paths:
        raise DataError(f"{root / 'data_list.txt'} is empty")
    vocabulary = _vocabulary(root / "vocab_index.txt")
    tags = _tags(root / "tag_list.txt", len(paths), vocabulary)
    unsure_list = root / UNSURE_LIST
    unsure = _tags(unsure_list, len(paths), vocabulary) if unsure_list.is_file() else None
    return HarrisonLabels(paths, tags, vocabulary, unsure or ((),) * len(paths))


def find_image(root: Path, path: str) -> Path:
    """Where the image of a data_list.txt line is: paths start at the set or at its parent."""
    inside = root / path
    return inside if inside.is_file() else root.parent / path


def _check_folder(root: Path) -> None:
    if root.is_file():
        raise DataError(
            f"{root} is a file, and a photo set is a folder. If it holds your own posts, run "
            f"`python -m training.prepare captions {root}` once, then give the folder {root.parent}"
        )
    if not root.is_dir():
        raise DataError(f"there is no folder {root}")
    for name in FILES:
        if not (root / name).is_file():
            raise DataError(
                f"{root} has no {name}: HARRISON's format needs {', '.join(FILES)}. Of your own "
                "posts `python -m training.prepare captions FILE` makes a photo set"
            )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise DataError(f"{path} cannot be read: {err}") from err


def _tags(path: Path, photos: int, vocabulary: Vocabulary) -> tuple[tuple[str, ...], ...]:
    """The distinct tags of each photo's line."""
    tags = tuple(tuple(dict.fromkeys(line.split())) for line in _lines(path))
    if len(tags) != photos:
        raise DataError(
            f"{path.parent}: data_list.txt has {photos} lines and {path.name} {len(tags)}; "
            "they must have one line for each photo"
        )
    strange = {tag for row in tags for tag in row} - vocabulary.index.keys()
    if strange:
        raise DataError(
            f"{path.parent}: {path.name} uses {len(strange)} tags that vocab_index.txt does not "
            f"have, such as {min(strange)!r}"
        )
    return tags


def _vocabulary(path: Path) -> Vocabulary:
    indices: dict[int, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        parts = line.split()
        if len(parts) != 2 or not parts[1].isdigit():
            raise DataError(f"{path}, line {number}: expected a tag and its index, not {line!r}")
        indices[int(parts[1])] = parts[0]
    if sorted(indices) != list(range(len(indices))):
        raise DataError(f"{path}: the indices do not run from 0 upwards without a gap")
    return Vocabulary(tuple(indices[index] for index in range(len(indices))))
