"""Feedback: which hashtags somebody kept and dropped, in a SQLite file that training reads.

`python -m training.prepare feedback FILE` is the reader: training/feedback.py.
"""

import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MOST_TAGS = 100  # in each of the two lists
LONGEST = 100  # characters of a tag or a name

TABLE = """
CREATE TABLE IF NOT EXISTS feedback (
    id INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    kept TEXT NOT NULL,
    dropped TEXT NOT NULL,
    photo BLOB
)
"""
INSERT = (
    "INSERT INTO feedback (time, model, version, kept, dropped, photo) VALUES (?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True)
class Opinion:
    """What somebody thought of one photo's hashtags.

    Args:
        model: that recommended them, and its version.
        version: see model.
        kept: the hashtags that were left, without #.
        dropped: those that were not wanted.
    """

    model: str
    version: str
    kept: tuple[str, ...]
    dropped: tuple[str, ...]

    @classmethod
    def from_json(cls, body: Any) -> "Opinion":
        """Read what the page sent.

        Raises:
            ValueError: it is not in form.
        """
        if not isinstance(body, Mapping):
            raise ValueError("feedback is a JSON object")
        names = (_text(body.get("model")), _text(body.get("version")))
        return cls(*names, _tags(body.get("kept")), _tags(body.get("dropped")))


@dataclass(frozen=True)
class Feedback:
    """A file of opinions; made by the first one, for its owner only."""

    file: Path

    def add(self, opinion: Opinion, photo: bytes | None) -> None:
        """Append an opinion, and the photo where its owner allowed that.

        Raises:
            OSError, sqlite3.Error: the file cannot be written.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, 0o600))
        time = datetime.now(UTC).isoformat(timespec="seconds")
        kept = json.dumps(opinion.kept, ensure_ascii=False)
        dropped = json.dumps(opinion.dropped, ensure_ascii=False)
        row = (time, opinion.model, opinion.version, kept, dropped, photo)
        with closing(sqlite3.connect(self.file)) as database, database:
            database.execute(TABLE)
            database.execute(INSERT, row)


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not value.isprintable():
        raise ValueError("names and hashtags are short texts")
    return value


def _tags(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST_TAGS:
        raise ValueError(f"kept and dropped are lists of {MOST_TAGS} hashtags at most")
    return tuple(map(_text, value))
