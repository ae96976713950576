"""HashtagClient: hashtags for photos, from a HashStagram server."""

import os
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from hashstagram_client.batch import Outcome, outcomes
from hashstagram_client.errors import ServerFailedError
from hashstagram_client.photo import to_bytes
from hashstagram_client.results import Explanation, Health, Recommendation

if TYPE_CHECKING:
    from hashstagram_client.photo import Photo
    from hashstagram_client.record import Record

Tags = str | Iterable[str]
T = TypeVar("T")


class HashtagClient:
    """A connection to a HashStagram server; a context manager that closes it.

    Threads may share one. It tries again, within the same deadline, what failed for a passing
    reason: a broken connection, a busy server, a worker that died. It never tries again what is
    the photo's fault.

    Args:
        url: base URL; else HASHSTAGRAM_URL, else the server of this checkout, else port 8080.
        token: access token; else HASHSTAGRAM_TOKEN, else the running server's key file.
        model: the model's name in the URL.
        timeout: seconds that a call may take, with all its tries and the pauses between them.
        retries: how many more tries after one that failed for a passing reason.
        shrink: make large photos smaller before they travel, where Pillow is installed; the
            hashtags stay the same.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        model: str = "hashtags",
        timeout: float = 30.0,
        retries: int = 10,
        shrink: bool = True,
    ) -> None:
        # requests takes longer to import than everything else here together.
        from hashstagram_client.connection import Connection
        from hashstagram_client.transport import Transport

        self.model = model
        self.shrink = shrink
        self._transport = Transport(Connection.find(url, token), timeout=timeout, retries=retries)

    def __enter__(self) -> "HashtagClient":
        """The client itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections; the client can be used again and opens new ones."""
        self._transport.close()

    def recommend(
        self,
        photo: "Photo",
        *,
        k: int = 5,
        threshold: float | None = None,
        exclude: Tags = (),
        include: Tags = (),
    ) -> Recommendation:
        """The k best hashtags for a photo.

        Args:
            photo: a path, an http(s) URL, the file's bytes, an open binary file, a PIL image, or a
                NumPy array of uint8 and shape (height, width) or (height, width, 3).
            k: how many.
            threshold: leave out tags that score less (0 to 1).
            exclude: tags never to answer, `*` and `?` stand for any letters.
            include: answer only tags that fit one of these.

        Raises:
            OSError: the photo's path cannot be read.
            TypeError: the photo is none of these, or `exclude` or `include` holds no tags.
            PhotoDownloadError: the URL leads to no photo.
            ConnectionFailedError: no answer, or not before the deadline.
            RequestRefusedError: the photo is no image, or an option is out of range.
            UnauthorizedError: the token is missing, wrong or too old.
            ServerFailedError: the server failed or is too busy.
        """
        options = _options(k, threshold, exclude, include)
        answer = self._post(f"/predictions/{self.model}", photo, options)
        return _understood(Recommendation.from_json, answer)

    def recommend_many(
        self,
        photos: Iterable["Photo"],
        *,
        concurrency: int = 8,
        ordered: bool = False,
        output: "str | os.PathLike[str] | Record | None" = None,
        **options: Any,
    ) -> Generator[Outcome, None, None]:
        """Hashtags for any number of photos, as they come; one's error does not stop the others.

        Args:
            photos: paths, or whatever else `recommend` takes; read as they are needed.
            concurrency: how many are under way at once.
            ordered: in the order of the photos instead of as they come.
            output: a file, CSV where its name ends so, else JSONL, that gets a line for each
                outcome before it is yielded. Photos that stand there with hashtags, or as no image,
                are left out: start again after an interruption, and only what was left is done.
                A Record of it, which the caller closes, serves as well.
            options: `recommend`'s.

        Raises:
            OSError: the output file cannot be read or written.
            TypeError: with an output file, a photo is neither a path nor a URL.
            ValueError: the output file holds something else.
        """
        from hashstagram_client.record import Record

        recommend = partial(self.recommend, **options)
        given = nullcontext(output) if isinstance(output, Record | None) else Record(output)
        with given as record:
            numbered = enumerate(photos)
            left = ((i, p) for i, p in numbered if record is None or p not in record)
            for outcome in outcomes(left, recommend, concurrency=concurrency, ordered=ordered):
                if record is not None:
                    record.add(outcome)
                yield outcome

    def explain(self, photo: "Photo", *, k: int = 5, include: Tags = ()) -> Explanation:
        """Where in the photo each of its k best hashtags was seen, and what looks alike.

        Args:
            photo: see `recommend`.
            k: how many.
            include: explain only tags that fit one of these.

        Raises:
            The same as `recommend`.
        """
        answer = self._post(f"/explanations/{self.model}", photo, _options(k, include=include))
        return _understood(Explanation.from_json, answer)

    def health(self) -> Health:
        """Whether the server takes photos now; asked once, and never an exception."""
        from hashstagram_client.health import ask

        return ask(self._transport, self.model)

    def _post(self, path: str, photo: "Photo", options: Mapping[str, str]) -> Any:
        """Send a photo within one deadline, which its download is part of."""
        from hashstagram_client.request import post

        deadline = self._transport.deadline()
        download = partial(self._transport.download, deadline=deadline)
        data = to_bytes(photo, shrink=self.shrink, download=download)
        return self._transport.send(post(path, data, options), deadline)


def _options(
    k: int, threshold: float | None = None, exclude: Tags = (), include: Tags = ()
) -> dict[str, str]:
    lists = {"exclude": exclude, "include": include}
    given = {"k": str(k)} | {name: _joined(name, tags) for name, tags in lists.items()}
    if threshold is not None:
        given["threshold"] = str(threshold)
    return {name: value for name, value in given.items() if value}


def _joined(option: str, tags: Tags) -> str:
    try:
        return tags if isinstance(tags, str) else ",".join(tags)
    except TypeError as err:
        raise TypeError(
            f"{option} takes a string of tags with commas between them, or a list of strings, "
            f"not {tags!r}"
        ) from err


def _understood(parse: Callable[[Any], T], answer: Any) -> T:
    try:
        return parse(answer)
    except (KeyError, TypeError, ValueError) as err:
        raise ServerFailedError(
            "the answer is JSON, but none of HashStagram's", status=200, kind="UnknownAnswer"
        ) from err
