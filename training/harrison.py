"""HARRISON's file format: the photos' paths, their tags and the vocabulary, in three text files.

data_list.txt has one relative image path a line, tag_list.txt the tags of the same line
separated by blanks, vocab_index.txt a tag and its index a line (Park, Li, Kim 2016,
arXiv 1605.05054).
"""

from dataclasses import dataclass
from pathlib import Path

from hashstagram.vocabulary import Vocabulary

FILES = ("data_list.txt", "tag_list.txt", "vocab_index.txt")


class DataError(ValueError):
    """A photo set cannot be used; the message says which file and what is wrong with it."""


@dataclass(frozen=True)
class HarrisonLabels:
    """The label files as they are; no image has been looked at."""

    paths: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    vocabulary: Vocabulary


def read_harrison(root: Path) -> HarrisonLabels:
    """Read the three label files of a photo set.

    Raises:
        DataError: a file is missing, or the files do not fit each other.
    """
    _check_folder(root)
    paths = tuple(line.strip() for line in _lines(root / "data_list.txt"))
    tags = tuple(tuple(dict.fromkeys(line.split())) for line in _lines(root / "tag_list.txt"))
    if not paths:
        raise DataError(f"{root / 'data_list.txt'} is empty")
    if len(paths) != len(tags):
        raise DataError(
            f"{root}: data_list.txt has {len(paths)} lines and tag_list.txt {len(tags)}; "
            "they must have one line for each photo"
        )
    vocabulary = _vocabulary(root / "vocab_index.txt")
    strange = {tag for row in tags for tag in row} - set(vocabulary.tags)
    if strange:
        raise DataError(
            f"{root}: tag_list.txt uses {len(strange)} tags that vocab_index.txt does not have, "
            f"such as {sorted(strange)[0]!r}"
        )
    return HarrisonLabels(paths, tags, vocabulary)


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
