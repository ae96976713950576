import logging
import sqlite3
from pathlib import Path

import pytest

from training.photoset import PhotoSet
from training.prepare import main
from web.feedback import Feedback, Opinion


def opinion(kept: list[str], dropped: list[str]) -> Opinion:
    body = {"model": "hashtags", "version": "1.0", "kept": kept, "dropped": dropped}
    return Opinion.from_json(body)


@pytest.fixture
def file(tmp_path: Path, harrison_root: Path) -> Path:
    """Opinions of the little photos, as the page writes them."""
    feedback = Feedback(tmp_path / "page" / "feedback.sqlite")
    for number, photo in enumerate(sorted(harrison_root.glob("*.jpg"))[:40]):
        tag = ("sky", "grass", "sunset", "night")[number % 4]
        feedback.add(opinion([tag, "like4like"], ["dog"]), photo.read_bytes())
    feedback.add(opinion(["sky"], []), None)
    return feedback.file


def test_feedback_becomes_a_photo_set(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert main(["feedback", str(file), str(tmp_path / "set")]) == 0
    photoset = PhotoSet.load(tmp_path / "set")
    assert set(photoset.vocabulary.tags) == {"sky", "grass", "sunset", "night"}
    assert len(photoset.photos) == 40
    assert {len(photo.tags) for photo in photoset.photos} == {1}
    assert "opinions left out, as they came without their photo: 1" in caplog.messages


def test_the_majority_has_it_where_people_disagree(
    file: Path, tmp_path: Path, harrison_root: Path
) -> None:
    first = sorted(harrison_root.glob("*.jpg"))[0].read_bytes()
    for _ in range(2):
        Feedback(file).add(opinion(["grass"], ["sky"]), first)
    assert main(["feedback", str(file), str(tmp_path / "set"), "--min-count", "1"]) == 0
    photos = PhotoSet.load(tmp_path / "set").photos
    [disputed] = [photo for photo in photos if photo.path.read_bytes() == first]
    assert disputed.tags == ("grass",)


def test_what_is_no_hashtag_is_no_tag(file: Path, tmp_path: Path, harrison_root: Path) -> None:
    photo = sorted(harrison_root.glob("*.jpg"))[0].read_bytes()
    for _ in range(5):
        Feedback(file).add(opinion(["<b>", "Sky", "../x", "a b"], []), photo)
    assert main(["feedback", str(file), str(tmp_path / "set")]) == 0
    tags = set(PhotoSet.load(tmp_path / "set").vocabulary.tags)
    assert tags <= {"sky", "grass", "sunset", "night", "a"}


@pytest.mark.parametrize("content", [None, b"no database", b""], ids=["none", "other", "empty"])
def test_another_file_is_refused_in_a_line(
    content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "feedback.sqlite"
    if content is not None:
        path.write_bytes(content)
    assert main(["feedback", str(path), str(tmp_path / "set")]) == 1
    assert str(path) in caplog.text


def test_without_photos_there_is_nothing_to_learn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    feedback = Feedback(tmp_path / "feedback.sqlite")
    feedback.add(opinion(["sky"], []), None)
    assert main(["feedback", str(feedback.file), str(tmp_path / "set")]) == 1
    assert "nobody has sent a photo" in caplog.text


def test_only_the_owner_may_read_it(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT count(*) FROM feedback").fetchone() == (41,)
    database.close()
