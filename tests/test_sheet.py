"""Contact sheets of photos and their hashtags."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from hashstagram.bundle import Bundle
from hashstagram.calibration import Calibration
from hashstagram.recommender import Recommender
from training.sheet import PAGE, answer, draw_pages, main, photos_of


@pytest.fixture
def album(tmp_path: Path, jpeg: bytes) -> Path:
    """A folder of one photo more than a page holds, one of them below it, and a text."""
    album = tmp_path / "album"
    (album / "below").mkdir(parents=True)
    for number in range(PAGE):
        (album / f"{number:02}.JPG").write_bytes(jpeg)
    (album / "below" / "last.jpg").write_bytes(jpeg)
    (album / "notes.txt").write_text("no photo")
    return album


def test_a_folder_stands_for_its_photos(album: Path) -> None:
    photos = photos_of([album, album / "notes.txt"])  # what is named is taken
    assert len(photos) == PAGE + 2
    assert {photos[0].name, photos[-2].name} == {"00.JPG", "last.jpg"}


def test_photos_go_on_numbered_pages(album: Path, bundle_dir: Path, tmp_path: Path) -> None:
    assert main(["--bundle", str(bundle_dir), str(tmp_path / "out.png"), str(album)]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["out-1.png", "out-2.png"]
    with Image.open(tmp_path / "out-1.png") as full, Image.open(tmp_path / "out-2.png") as rest:
        ink = [
            sum(page.convert("L").point(lambda v: v < 128).histogram()[1:]) for page in (full, rest)
        ]
    assert ink[0] > 5 * ink[1] > 0


def test_under_a_photo_stand_its_hashtags(bundle: Bundle, album: Path) -> None:
    recommender = Recommender(bundle)
    [page] = draw_pages(recommender, [album / "00.JPG"])
    [best, *_] = recommender.recommend([(album / "00.JPG").read_bytes()])[0]
    written, *blank = [axes.get_xlabel() for axes in page.axes]
    assert written.splitlines()[0] == f"#{best.tag} {best.score:.2f}"
    assert not any(blank)


def test_guesses_are_marked(bundle: Bundle, picture: Image.Image) -> None:
    strict = replace(bundle.config, calibration=Calibration(abstain_below=1.0))
    sure = answer(Recommender(bundle), picture)
    guesses = answer(Recommender(replace(bundle, config=strict)), picture)
    assert guesses == f"(abstained)\n{sure}"
    assert len(sure.splitlines()) == 5


def test_a_file_that_is_no_photo_says_so(bundle: Bundle, album: Path) -> None:
    [page] = draw_pages(Recommender(bundle), [album / "notes.txt"])
    assert page.axes[0].get_xlabel()
    assert "#" not in page.axes[0].get_xlabel()


def test_there_must_be_a_photo(
    bundle_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit):
        main(["--bundle", str(bundle_dir), str(tmp_path / "o.png"), str(tmp_path / "empty")])
    assert "no photo" in capsys.readouterr().err
