"""Record: a file of outcomes, JSONL or CSV, that tells which photos need not be asked for again."""

import csv
import io
import json
import os
from abc import ABC, abstractmethod
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from hashstagram_client.photo import name_of

if TYPE_CHECKING:
    from hashstagram_client.batch import Outcome
    from hashstagram_client.photo import Photo

FINAL = frozenset({413, 415, 422})  # statuses that say that the photo itself is at fault


class Layout(ABC):
    """How an outcome stands in a line."""

    header = ""

    @abstractmethod
    def line(self, outcome: "Outcome") -> str:
        """The line of an outcome."""

    @abstractmethod
    def finished(self, line: str) -> tuple[str, bool] | None:
        """A photo's name and whether it was refused; None where asking again may bring another end.

        Raises:
            ValueError: it is no line of ours.
        """


class Jsonl(Layout):
    """An object a line: the server's answer, or the error."""

    def line(self, outcome: "Outcome") -> str:
        """The line of an outcome."""
        return json.dumps(outcome.to_json(), ensure_ascii=False) + "\n"

    def finished(self, line: str) -> tuple[str, bool] | None:
        """A photo's name and whether it was refused; None where asking again may bring another end.

        Raises:
            ValueError: it is no line of ours.
        """
        try:
            row = json.loads(line)
            name, error = str(row["photo"]), row.get("error")
            return (name, error is not None) if error is None or error["code"] in FINAL else None
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError("no outcome") from err


class Csv(Layout):
    """For spreadsheets: hashtags as they go under a post, their scores, or the error."""

    columns = ("photo", "hashtags", "scores", "abstained", "version", "code", "error")
    header = ",".join(columns) + "\n"

    def line(self, outcome: "Outcome") -> str:
        """The line of an outcome; a line break in a file's name becomes a blank."""
        told = outcome.to_json()
        error = told.get("error", {})
        cells = {
            **told,
            "photo": " ".join(str(told["photo"]).splitlines()),
            "hashtags": outcome.recommendation.text if outcome.recommendation else "",
            "scores": " ".join(str(hashtag["score"]) for hashtag in told.get("hashtags", [])),
            "code": error.get("code"),
            "error": " ".join(error.get("message", "").splitlines()),
        }
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells.get(name, "") for name in self.columns)
        return text.getvalue()

    def finished(self, line: str) -> tuple[str, bool] | None:
        """A photo's name and whether it was refused; None where asking again may bring another end.

        Raises:
            ValueError: it is no line of ours.
        """
        if line == self.header:
            return None
        row = dict(zip(self.columns, next(csv.reader([line])), strict=True))
        refused = row["code"] in map(str, FINAL)
        return (row["photo"], refused) if refused or not row["error"] else None


class Record:
    """A file of outcomes: CSV where its name ends so, else JSONL.

    Done are photos with a recommendation and those that the server refused; others, such as those
    it was too busy for, are tried again, and then stand a second time: the later line counts.

    Args:
        path: made if it is not there. A last line that was cut off is removed.

    Raises:
        OSError: the file cannot be read or written.
        ValueError: there is something else in it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._layout: Layout = Csv() if Path(path).suffix.lower() == ".csv" else Jsonl()
        self._file = Path(path).open("a+b")  # noqa: SIM115 - a context manager itself
        try:
            self._done = self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "Record":
        """The record itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file."""
        self._file.close()

    def __contains__(self, photo: "Photo") -> bool:
        """Whether the photo is done."""
        return _fingerprint(_named(photo)) in self._done

    def has_refused(self, photo: "Photo") -> bool:
        """Whether it is done because the server refused it."""
        return self._done.get(_fingerprint(_named(photo)), False)

    def add(self, outcome: "Outcome") -> None:
        """Write a line, at once."""
        self._write(self._layout.line(outcome))

    def _write(self, line: str) -> None:
        self._file.write(line.encode(errors="surrogatepass"))  # names that are not UTF-8
        self._file.flush()

    def _read(self) -> dict[bytes, bool]:
        """Fingerprints of the photos that are done, and whether each was refused.

        A new file gets its header.
        """
        self._file.seek(0)
        whole, done = 0, {}
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            if finished := self._finished(line):
                name, refused = finished
                done[_fingerprint(name)] = refused
        self._file.truncate(whole)
        if not whole:
            self._write(self._layout.header)
        return done

    def _finished(self, line: bytes) -> tuple[str, bool] | None:
        try:
            return self._layout.finished(line.decode(errors="surrogatepass"))
        except ValueError as err:
            raise ValueError("the output file holds something else than outcomes") from err


def _named(photo: "Photo") -> str:
    name = name_of(photo)
    if name is None:
        raise TypeError("an output file needs photos with a name: paths or URLs")
    return name


def _fingerprint(name: str) -> bytes:
    """Eight bytes instead of a path: a million are done in some 80 MB."""
    data = " ".join(name.splitlines()).encode(errors="surrogatepass")
    return blake2b(data, digest_size=8).digest()
