"""Feedback: the file that the web page appends to, to photos and the hashtags that fit them.

web/feedback.py is the writer. Only opinions whose photo came along can be trained on.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from training.captions import Post, hashtags_in
from training.harrison import DataError
from training.photoset import digest_of

Row = tuple[str, str, bytes | None]  # kept and dropped as JSON lists, and the photo


@dataclass(frozen=True)
class Feedback:
    """The photos with what was thought of them, and how many opinions came without a photo."""

    posts: tuple[Post, ...]
    bare: int


def read_feedback(path: Path, folder: Path) -> Feedback:
    """Read the file and write its photos into a folder, named by their fingerprints.

    A hashtag is a photo's when more people kept it than dropped it.

    Raises:
        DataError: the file cannot be read, or no photo is in it.
    """
    rows = _rows(path)
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    folder.mkdir(parents=True, exist_ok=True)
    for kept, dropped, photo in rows:
        if photo is not None:
            name = f"{digest_of(photo)}.jpg"
            (folder / name).write_bytes(photo)
            votes[name].update(_hashtags(kept))
            votes[name].subtract(_hashtags(dropped))
    if not votes:
        raise DataError(f"{path}: nobody has sent a photo along")
    return Feedback(tuple(_posts(votes.items())), sum(photo is None for *_, photo in rows))


def _rows(path: Path) -> list[Row]:
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            return database.execute("SELECT kept, dropped, photo FROM feedback").fetchall()
    except sqlite3.Error as err:
        raise DataError(f"{path} is not the page's feedback: {err}") from err


def _hashtags(tags: str) -> tuple[str, ...]:
    """In the one spelling of captions; what is no hashtag, whoever sent it, is left out."""
    return hashtags_in(" ".join(f"#{tag}" for tag in json.loads(tags)))


def _posts(votes: Iterable[tuple[str, Counter[str]]]) -> Iterable[Post]:
    for name, counts in votes:
        yield Post(name, tuple(tag for tag, count in counts.items() if count > 0))
