"""Captions: a file of image and caption rows, the user's own posts, to photos and hashtags."""

import csv
import html
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
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


@dataclass(frozen=True)
class Captions:
    """The posts of a file, and a line for each row that is none: where it stands, and why."""

    posts: tuple[Post, ...]
    broken: tuple[str, ...]


def hashtags_in(caption: str) -> tuple[str, ...]:
    """The distinct hashtags of a caption, without the ``#``, in one spelling."""
    text = unicodedata.normalize("NFKC", html.unescape(caption))
    return tuple(dict.fromkeys(_fold(match[1]) for match in _HASHTAG.finditer(text)))


def _fold(tag: str) -> str:
    """Unicode's caseless form (NFKC_Casefold), in which the Turkish capital İ is a plain i too."""
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", tag).casefold())
    return folded.replace("i\u0307", "i")


def read_captions(path: Path) -> Captions:
    """Read a .jsonl file of {"image", "caption"} or a .csv file with these columns.

    A caption that is null or empty is one without hashtags.

    Raises:
        DataError: the file cannot be read, or not one row of it can be used.
    """
    readers = {".jsonl": _json_posts, ".csv": _csv_posts}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: captions come as .jsonl or .csv")
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(readers[path.suffix.lower()](lines))
    except FileNotFoundError as err:
        raise DataError(f"there is no file {path}") from err
    except UnicodeDecodeError as err:
        raise DataError(f"{path} is not in UTF-8: save it as UTF-8 (Excel's CSV UTF-8)") from err
    except (OSError, csv.Error, DataError) as err:
        raise DataError(f"{path} {err}") from err
    if not rows:
        raise DataError(f"{path} is empty" if path.stat().st_size == 0 else f"{path} has no rows")
    posts = tuple(row for _, row in rows if isinstance(row, Post))
    broken = [f"{path.name}, line {number}: {row}" for number, row in rows if isinstance(row, str)]
    if not posts:
        raise DataError(f"{path}: no row can be used. {broken[0]}")
    return Captions(posts, tuple(broken))


def _json_posts(lines: Iterator[str]) -> Iterator[tuple[int, Post | str]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, _json_post(line)


def _json_post(line: str) -> Post | str:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as err:
        return f"this is no JSON ({err.msg}, column {err.colno})"
    return _post(row) if isinstance(row, dict) else "this is no JSON object"


def _csv_posts(lines: Iterator[str]) -> Iterator[tuple[int, Post | str]]:
    header = next(lines, "")
    delimiter = max(",;\t", key=header.count)  # some countries' Excel writes semicolons
    reader = csv.DictReader(chain([header], lines), delimiter=delimiter, skipinitialspace=True)
    columns = reader.fieldnames or ()
    if columns and not {"image", "caption"} <= set(columns):
        raise DataError(f"has the columns {', '.join(columns)}; it needs image and caption")
    for row in reader:
        yield reader.line_num, _post(row)


def _post(row: Mapping[str, object]) -> Post | str:
    """The post, or why there is none."""
    image, caption = row.get("image"), row.get("caption", False)
    if not isinstance(image, str) or not image.strip():
        return "there is no image"
    if not isinstance(caption, str | None):
        return "there is no caption"
    return Post(image, hashtags_in(caption or ""))


@cache
def bait() -> frozenset[str]:
    """Tags that are no hashtags for a photo: see bait.txt."""
    lines = Path(__file__).with_name("bait.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not re.match(r"#|$", line))
