"""Terms: what a new version has to live up to, and what a rollout saw of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """What a new version has to live up to.

    Args:
        agreement: share of the old version's hashtags that it gives too, on average, 0 to 1.
        slowdown: how many times as long as the old one it may take.
        error_rate: share of requests that may fail (5xx) while it is watched, 0 to 1.
        watch: seconds for that.
        load_timeout: seconds until it has to be ready.
    """

    agreement: float = 0.5
    slowdown: float = 2.0
    error_rate: float = 0.01
    watch: float = 30.0
    load_timeout: float = 180.0


@dataclass(frozen=True)
class Comparison:
    """The smoke photos' answers of two versions.

    Args:
        photos: how many.
        agreement: share of the old one's hashtags that the new one gives too, on average.
        old_seconds: median time of an answer.
        new_seconds: likewise.
    """

    photos: int
    agreement: float
    old_seconds: float
    new_seconds: float


@dataclass(frozen=True)
class Rollout:
    """What a rollout that succeeded saw.

    Args:
        model: its name.
        old: the version before.
        new: the version now.
        comparison: None where there were no smoke photos.
        requests: that came while the new version was watched.
        errors: how many of them failed (5xx).
        left: instances in which the old version is still registered, since somebody asks for it.
        seconds: that all took.
    """

    model: str
    old: str
    new: str
    comparison: Comparison | None
    requests: int
    errors: int
    left: tuple[str, ...]
    seconds: float
