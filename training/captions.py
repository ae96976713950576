"""Captions: a file of image and caption rows, the user's own posts, to photos and hashtags."""

import csv
import html
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import regex

from training.harrison import DataError

# Letters, marks (which most scripts of India need), digits and underscore, with a letter among
# them; not inside a word, a URL's fragment or an HTML entity, but right after another (\G), and
# not where a mark makes the # a keycap. Unicode UAX 31 calls it a hashtag identifier; emoji and
# hyphens, which it allows, are not tags that people search for. What cannot be seen (DI: joiners,
# direction marks, variation selectors) goes with the word, but for the zero-width space.
_HASHTAG = regex.compile(
    r"""(?: \G | (?<! [[\p{L}\p{M}\p{N}_/=&]--[\p{Me}\p{DI}]] ) )
        \# (?!\p{M})
        ( (?&word)* [\p{L}--\p{DI}] (?&word)* )
        (?(DEFINE) (?P<word> [[\p{L}\p{M}\p{N}\p{DI}_]--[\p{Me}\u200b]] ) )""",
    regex.VERBOSE | regex.VERSION1,
)
_INVISIBLE = regex.compile(r"\p{DI}")


@dataclass(frozen=True)
class Post:
    """One row: an image path, relative to the file, and its hashtags in the caption's order."""

    image: str
    hashtags: tuple[str, ...]


def hashtags_in(caption: str) -> tuple[str, ...]:
    """The distinct hashtags of a caption, without the ``#``, in one spelling."""
    text = unicodedata.normalize("NFKC", html.unescape(caption))
    return tuple(dict.fromkeys(_fold(match[1]) for match in _HASHTAG.finditer(text)))


def _fold(tag: str) -> str:
    """Unicode's caseless form (NFKC_Casefold), in which the Turkish capital İ is a plain i too."""
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", tag).casefold())
    return folded.replace("i\u0307", "i")


def read_captions(path: Path) -> list[Post]:
    """Read a .jsonl file of {"image", "caption"} or a .csv file with these columns.

    Raises:
        DataError: the file cannot be read, or a line lacks one of the two; it says which.
    """
    readers = {".jsonl": _json_rows, ".csv": _csv_rows}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: captions come as .jsonl or .csv")
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = readers[path.suffix.lower()](lines)
            return [_post(path, number, row) for number, row in rows]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, csv.Error) as err:
        raise DataError(f"{path} cannot be read: {err}") from err


def _json_rows(lines: Iterator[str]) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, json.loads(line)


def _csv_rows(lines: Iterator[str]) -> Iterator[tuple[int, object]]:
    reader = csv.DictReader(lines)
    for row in reader:
        yield reader.line_num, row


def _post(path: Path, number: int, row: object) -> Post:
    if not isinstance(row, dict) or not isinstance(row.get("image"), str):
        raise DataError(f'{path}, line {number}: there is no "image"')
    if not isinstance(row.get("caption"), str):
        raise DataError(f'{path}, line {number}: there is no "caption"')
    return Post(row["image"], hashtags_in(row["caption"]))


@cache
def bait() -> frozenset[str]:
    """Tags that are no hashtags for a photo: see bait.txt."""
    lines = Path(__file__).with_name("bait.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not re.match(r"#|$", line))
