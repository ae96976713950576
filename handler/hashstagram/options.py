"""Options: what a caller may ask for besides the photo, whatever part of a request says it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hashstagram.errors import InvalidRequestError
from hashstagram.tag_filter import TagFilter

NAMES = ("k", "threshold", "exclude", "include")
MAX_K = 100
MAX_PATTERNS = 200
MAX_PATTERN_LENGTH = 100

N = TypeVar("N", int, float)


@dataclass(frozen=True)
class Options:
    """How the answer shall be.

    Args:
        k: how many hashtags, 1 to MAX_K.
        threshold: the lowest score that is still answered, 0 to 1.
        tag_filter: which hashtags may be answered.
    """

    k: int = 5
    threshold: float = 0.0
    tag_filter: TagFilter = field(default_factory=TagFilter)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Options":
        """From the values of k, threshold, exclude and include: text, bytes, numbers or lists.

        Raises:
            InvalidRequestError: another name is given, or a value is not of its kind or out of
                its range.
        """
        _refuse_unknown(given)
        return cls(
            k=_number(given.get("k"), "k", int, default=5, low=1, high=MAX_K),
            threshold=_number(
                given.get("threshold"), "threshold", float, default=0.0, low=0, high=1
            ),
            tag_filter=TagFilter(
                exclude=_patterns(given.get("exclude"), "exclude"),
                include=_patterns(given.get("include"), "include"),
            ),
        )


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    """A misspelt option would else have no effect, and nobody would notice."""
    for name in given:
        if name not in NAMES:
            raise InvalidRequestError(
                f"{name[:MAX_PATTERN_LENGTH]!r} is unknown. "
                f"Beside its photo a request may have {', '.join(NAMES)}."
            )


def _number(value: Any, name: str, kind: type[N], *, default: N, low: N, high: N) -> N:
    if value is None:
        return default
    try:
        number = kind(value.decode() if isinstance(value, bytes | bytearray) else value)
        whole = kind is not int or not isinstance(value, float)
        if isinstance(value, bool) or not whole or not low <= number <= high:
            raise ValueError
    except (TypeError, ValueError, OverflowError) as err:
        article = "a whole number" if kind is int else "a number"
        raise InvalidRequestError(f"{name} must be {article} from {low} to {high}.") from err
    return number


def _patterns(value: Any, name: str) -> tuple[str, ...]:
    try:
        patterns = tuple(dict.fromkeys(_split(value)))
    except (TypeError, ValueError) as err:
        raise InvalidRequestError(
            f"{name} must be hashtags, with commas between them or as a list of texts."
        ) from err
    if len(patterns) > MAX_PATTERNS or any(len(p) > MAX_PATTERN_LENGTH for p in patterns):
        raise InvalidRequestError(
            f"{name} may name {MAX_PATTERNS} hashtags of {MAX_PATTERN_LENGTH} letters. "
            "Use * for many that begin alike."
        )
    return patterns


def _split(value: Any) -> Iterator[str]:
    """The single patterns of a text, of a list of texts, or of nothing."""
    if value is None:
        return
    if isinstance(value, list):
        for one in value:
            yield from _split(one)
        return
    text = value.decode() if isinstance(value, bytes | bytearray) else value
    if not isinstance(text, str):
        raise TypeError
    yield from filter(None, (part.strip().removeprefix("#") for part in text.split(",")))
