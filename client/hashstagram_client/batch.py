"""Many photos at once: results as they come, each with its own error."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from hashstagram_client.errors import AnswerError, ClientError
from hashstagram_client.photo import name_of
from hashstagram_client.results import Recommendation

if TYPE_CHECKING:
    from concurrent.futures import Future

    from hashstagram_client.photo import Photo

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
    from concurrent.futures import ThreadPoolExecutor  # takes long to import

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


def _first_done(running: "Iterable[Future[Outcome]]") -> "Future[Outcome]":
    from concurrent.futures import FIRST_COMPLETED, wait

    return next(iter(wait(running, return_when=FIRST_COMPLETED).done))
