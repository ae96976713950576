"""Limits: what one caller of the front, and all together, may ask for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """Positive whole numbers; docs/operations.md says how to size them.

    Args:
        rate: requests a second of one client address, and `burst` above it; then 429.
        burst: see rate.
        explanations_rate: the same for explanations, which cost several times as much.
        explanations_burst: see explanations_rate.
        connections: requests that one client address may have open at a time.
        body: bytes of a request's body; TorchServe's max_request_size is the same.
        in_flight: requests that wait in one instance; then 503. With one of two instances
            away, the other has to take all, so this is what both have together in good times.
        explaining: how many of those may be explanations.
    """

    rate: int = 100
    burst: int = 200
    explanations_rate: int = 5
    explanations_burst: int = 20
    connections: int = 1000
    body: int = 20971520
    in_flight: int = 64
    explaining: int = 8

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "Limits":
        """The usual limits but for those that are given as NAME=NUMBER.

        Raises:
            ValueError: there is no such limit, or that is no positive whole number.
        """
        given = dict(text.partition("=")[::2] for text in texts)
        for name, number in given.items():
            known = name in {field.name for field in fields(cls)}
            if not known or not re.fullmatch(r"[1-9][0-9]*", number):
                raise ValueError(f"{name}={number} is no limit: see --help")
        return cls(**{name: int(number) for name, number in given.items()})
