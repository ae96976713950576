"""Answers: whether a service's hashtags are those that the textbook gives in this process.

A peer runs the same code: it has to give the same five tags in the same order, but that tags whose
scores differ by at most TIE may change places, since a batch rounds otherwise than a lone photo.
Ours decodes otherwise, so its pixels differ by a level or so: it has to share SHARED of five tags
on the mean.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.peers.models import Model
from benchmarks.peers.service import Service, ServiceError
from benchmarks.peers.textbook import Tag, Textbook

TIE = 0.0005
SHARED = 4.0

Answers = Mapping[Path, list[Tag]]


def textbook_answers(model: Model, photos: Sequence[Path]) -> Answers:
    """The right answers.

    Raises:
        ValueError: all photos have the same one, so that it would tell nothing.
    """
    textbook = Textbook(model.bundle)
    answers = {path: textbook.answer([path.read_bytes()])[0]["hashtags"] for path in photos}
    if len({tuple(tag["tag"] for tag in answer) for answer in answers.values()}) == 1:
        raise ValueError(f"{model.name} answers the same to every photo")
    return answers


def check(service: Service, right: Answers) -> float:
    """Ask for each photo; how many of five tags are right on the mean.

    Raises:
        ServiceError: too few are.
    """
    told = {path: service.ask(path.read_bytes()) for path in right}
    shared = sum(common(told[path], right[path]) for path in right) / len(right)
    if service.peer.is_ours:
        good = shared >= SHARED
    else:
        good = all(same(told[path], right[path]) for path in right)
    if not good:
        raise ServiceError(f"other answers than the textbook's: {shared:.2f} of 5 tags are right")
    return round(shared, 2)


def common(one: Sequence[Tag], other: Sequence[Tag]) -> int:
    """How many tags both have."""
    return len({tag["tag"] for tag in one} & {tag["tag"] for tag in other})


def same(told: Sequence[Tag], right: Sequence[Tag]) -> bool:
    """Whether both have the same tags in the same order, but for ties.

    A tag that the right answer lacks may have changed places with its last.
    """
    if len(told) != len(right):
        return False
    scores, last = {tag["tag"]: tag["score"] for tag in right}, right[-1]["score"]
    return all(
        max(
            abs(mine["score"] - theirs["score"]), abs(mine["score"] - scores.get(mine["tag"], last))
        )
        <= TIE
        for mine, theirs in zip(told, right, strict=True)
    )
