"""Many photos: one's error stays its own, and an interrupted run is taken up where it ended."""

import json
import threading
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest

from benchmarks.faults import FaultyServer, digest, tag_of
from hashstagram_client import HashtagClient, UnsupportedPhotoError
from hashstagram_client.record import Record

PHOTOS = 40


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(digest, share=0).running() as server:
        yield server


@pytest.fixture
def client(server: FaultyServer) -> Iterator[HashtagClient]:
    with HashtagClient(server.url, retries=0) as client:
        yield client


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Forty photos, of which three are not what they should be."""
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [folder / f"{number:02} é.jpg" for number in range(PHOTOS)]
    for path in paths:
        path.write_bytes(path.name.encode())
    paths[5].write_bytes(b"broken")
    paths[9].write_bytes(b"broken too")
    paths[20].unlink()
    return paths


def rows(output: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("ordered", [True, False])
def test_each_photo_has_its_own_outcome(
    client: HashtagClient, paths: list[Path], ordered: bool
) -> None:
    found = list(client.recommend_many(paths, concurrency=8, ordered=ordered))
    indices = [outcome.index for outcome in found]
    assert sorted(indices) == list(range(PHOTOS))
    assert not ordered or indices == sorted(indices)
    errors = {o.index: type(o.error) for o in found if o.error}
    refused = UnsupportedPhotoError
    assert errors == {5: refused, 9: refused, 20: FileNotFoundError}
    for outcome in found:
        if outcome.recommendation:
            expected = tag_of(paths[outcome.index].read_bytes())
            assert outcome.recommendation.hashtags[0].tag == expected


def test_an_interrupted_run_is_taken_up(
    server: FaultyServer, client: HashtagClient, paths: list[Path], tmp_path: Path
) -> None:
    output = tmp_path / "tags.jsonl"
    outcomes = client.recommend_many(paths, concurrency=2, output=output)
    assert len(list(islice(outcomes, 15))) == 15
    outcomes.close()
    with output.open("ab") as file:
        file.write(b'{"photo": "half a li')
    server.tries.clear()
    rest = list(client.recommend_many(paths, output=output))
    assert len(rest) == PHOTOS - 15 + any(r["photo"] == str(paths[20]) for r in rows(output)[:15])
    assert {row["photo"] for row in rows(output)} == {str(path) for path in paths}
    assert len([row for row in rows(output) if "hashtags" in row]) == PHOTOS - 3
    # Only what may come out better another time is done again.
    again = list(client.recommend_many(paths, output=output))
    assert [outcome.photo for outcome in again] == [paths[20]]


def test_a_record_that_is_open_is_not_read_again(
    client: HashtagClient, paths: list[Path], tmp_path: Path
) -> None:
    output = tmp_path / "tags.jsonl"
    list(client.recommend_many(paths[:10], output=output))
    with Record(output) as record:
        output.unlink()
        rest = list(client.recommend_many(paths, output=record))
        record.add(rest[0])  # it is the caller who closes it
    assert sorted(outcome.index for outcome in rest) == list(range(10, PHOTOS))
    assert not output.exists()


def test_only_a_few_photos_are_held_at_once(client: HashtagClient) -> None:
    taken = count()
    photos = (b"photo %d" % next(taken) for _ in range(10**9))
    outcomes = client.recommend_many(photos, concurrency=4, ordered=True)
    assert [outcome.index for outcome in islice(outcomes, 100)] == list(range(100))
    outcomes.close()
    assert next(taken) <= 100 + 2 * 4
    assert not [t for t in threading.enumerate() if t.name.startswith("hashstagram")]


def test_an_output_file_needs_names(client: HashtagClient, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="paths or URLs"):
        list(client.recommend_many([b"photo"], output=tmp_path / "tags.jsonl"))


def test_another_file_is_not_written_to(client: HashtagClient, paths: list[Path]) -> None:
    paths[0].write_text("a photo\nof two lines")
    with pytest.raises(ValueError, match="something else"):
        list(client.recommend_many(paths, output=paths[0]))
    assert paths[0].read_text() == "a photo\nof two lines"
