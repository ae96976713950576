"""Hostile files to a live worker: it refuses them, says so in JSON, and lives on."""

from collections import defaultdict

import pytest

from benchmarks.hostile import LEAK, send, summary
from benchmarks.hostile_files import Sample, good
from serving.instance import Instance

pytestmark = pytest.mark.serving


def some_of_each(samples: list[Sample], most: int) -> list[Sample]:
    """At most so many of each kind; all of them are for the benchmark."""
    kinds: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        kinds[sample.name.split("-")[0]].append(sample)
    return [sample for kind in kinds.values() for sample in kind[:: max(1, len(kind) // most)]]


def test_a_live_worker_refuses_them_and_lives(
    instance: Instance, hostile_files: list[Sample]
) -> None:
    before = [worker["pid"] for worker in instance.describe()["workers"]]
    samples = [*some_of_each(hostile_files, 12), *some_of_each(good(), 8)]
    assert len(samples) > 200
    figures = summary(send(instance.inference, instance.key("inference"), samples))
    assert figures["wrong"] == []
    assert (figures["5xx"], figures["resets"]) == (0, 0)
    assert [worker["pid"] for worker in instance.describe()["workers"]] == before


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        ("<_io.BytesIO object at 0x7f3a2c>", True),
        ("Traceback (most recent call last)", True),
        ("cannot open /usr/lib/python3/x", True),
        ("Send one of JPEG, PNG. See curl -F image=@photo.jpg URL", False),
    ],
)
def test_what_counts_as_a_leak(text: str, leaks: bool) -> None:
    assert bool(LEAK.search(text)) is leaks
