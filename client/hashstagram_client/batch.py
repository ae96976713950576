"""Many photos at once: results as they come, each with its own error, resumable from a file."""

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashstagram_client.errors import AnswerError, ClientError
from hashstagram_client.photo import name_of
from hashstagram_client.results import Recommendation

if TYPE_CHECKING:
    from hashstagram_client.photo import Photo

FINAL = frozenset({413, 415, 422})  # statuses that say that the photo itself is at fault

Failure = ClientError | OSError | TypeError  # what may be wrong with one photo and not the next


@dataclass(frozen=True)
class Outcome:
    """What became of one of many photos: a recommendation or an error.

    Args:
        index: the photo's position among all, from 0.
        photo: the photo itself.
        recommendation: None if there is an error.
        error: None if there is a recommendation.
    """

    index: int
    photo: "Photo"
    recommendation: Recommendation | None = None
    error: Failure | None = None

    def to_json(self) -> dict[str, Any]:
        """One line of an output file: the photo's name beside the server's answer or error."""
        body = {"photo": name_of(self.photo)}
        if self.recommendation:
            return body | self.recommendation.to_json()
        kind = self.error.kind if isinstance(self.error, AnswerError) else type(self.error).__name__
        code = self.error.status if isinstance(self.error, AnswerError) else None
        return body | {"error": {"code": code, "type": kind, "message": str(self.error)}}


def outcomes(
    photos: Iterable[tuple[int, "Photo"]],
    recommend: Callable[["Photo"], Recommendation],
    *,
    concurrency: int,
    ordered: bool,
) -> Iterator[Outcome]:
    """Each photo's outcome; twice as many as run at once are held, however many there are."""

    def outcome(index: int, photo: "Photo") -> Outcome:
        try:
            return Outcome(index, photo, recommendation=recommend(photo))
        except (ClientError, OSError, TypeError) as err:
            return Outcome(index, photo, error=err)

    rest = iter(photos)
    with ThreadPoolExecutor(concurrency, thread_name_prefix="hashstagram") as pool:
        try:
            running = deque(pool.submit(outcome, *one) for one in islice(rest, 2 * concurrency))
            while running:
                future = running[0] if ordered else _first_done(running)
                yield future.result()
                running.remove(future)
                running.extend(pool.submit(outcome, *one) for one in islice(rest, 1))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _first_done(running: Iterable[Future[Outcome]]) -> Future[Outcome]:
    return next(iter(wait(running, return_when=FIRST_COMPLETED).done))


class Record:
    """A JSONL file of outcomes that tells which photos need not be asked for again.

    Done are those with a recommendation and those that the server refused; others, such as those
    it was too busy for, are tried again, and then stand a second time: the later line counts.

    Args:
        path: made if it is not there. A last line that was cut off is removed.

    Raises:
        OSError: the file cannot be read or written.
        ValueError: there is something else in it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
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

    def add(self, outcome: Outcome) -> None:
        """Write a line, at once."""
        line = json.dumps(outcome.to_json(), ensure_ascii=False) + "\n"
        self._file.write(line.encode(errors="surrogatepass"))  # names that are not UTF-8
        self._file.flush()

    def _read(self) -> set[bytes]:
        self._file.seek(0)
        whole, done = 0, set()
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            if name := _finished(line):
                done.add(_fingerprint(name))
        self._file.truncate(whole)
        return done


def _finished(line: bytes) -> str | None:
    """The name in a line, if asking for that photo again would bring nothing new."""
    try:
        row = json.loads(line)
        name, error = str(row["photo"]), row.get("error")
        return name if error is None or error["code"] in FINAL else None
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise ValueError("the output file holds something else than outcomes") from err


def _named(photo: "Photo") -> str:
    name = name_of(photo)
    if name is None:
        raise TypeError("an output file needs photos with a name: paths or URLs")
    return name


def _fingerprint(name: str) -> bytes:
    """Eight bytes instead of a path: a million are done in some 70 MB."""
    return blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest()
