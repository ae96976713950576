import json
import logging
from pathlib import Path

import pytest

from training.captions import Post, bait, hashtags_in, read_captions
from training.harrison import DataError
from training.photoset import PhotoSet
from training.prepare import main


@pytest.mark.parametrize(
    ("caption", "hashtags"),
    [
        ("Sun! #Beach #SEA #beach", ("beach", "sea")),
        ("no space#not but (#yes) and,#too", ("yes", "too")),
        ("#東京 #café #straße #Ελλάδα", ("東京", "café", "strasse", "ελλάδα")),
        ("#नमस्ते marks belong to the word", ("नमस्ते",)),
        ("full width ＃写真 and #ＷＩＤＥ", ("写真", "wide")),
        ("see https://x.example/#top &#39; &#x27;", ()),
        ("#1 #2024 but #2024goals #under_score", ("2024goals", "under_score")),
        ("#one#two ##three # a#four#five", ("one", "two", "three")),
        ("#love😀 #dog's", ("love", "dog")),
        ("#one#two#3 #three,#four.#five!#six", ("one", "two", "three", "four", "five", "six")),
        ("#caf\u00e9 #cafe\u0301 #CAFÉ", ("café",)),
        ("#𝓈𝓊𝓃𝓈ℯ𝓉 #ｶﾌｪ #カフェ ﹟cat", ("sunset", "カフェ", "cat")),
        ("#สวัสดี วันนี้ #กรุงเทพฯ", ("สวัสดี", "กรุงเทพฯ")),
        ("#\u200fمرحبا، #شمس؟ #می\u200cخواهم", ("مرحبا", "شمس", "میخواهم")),
        ("#日本語ー、#さくら。#夏🌻#東京タワー！", ("日本語ー", "さくら", "夏", "東京タワー")),
        ("#sun\u00adset #beach\u200b#sea\ufeff #dog\u200d🐶", ("sunset", "beach", "sea", "dog")),
        (
            "#love❤\ufe0f #a❤\ufe0f\u200d🔥b 🏖\ufe0f#beach #top1\ufe0f\u20e3",
            ("love", "a", "beach", "top1"),
        ),
        ("#\ufe0f\u20e3one 1\ufe0f\u20e3#two #\u3164 #\u0301x", ("two",)),
        ("#İstanbul #ISTANBUL #istanbul", ("istanbul",)),
        ("#STRASSE #Straße #ΟΔΟΣ #οδος", ("strasse", "οδοσ")),
        (
            "&#35;sun #rock&amp;roll #caf&eacute; &amp;#no &hearts;#yes",
            ("sun", "rock", "café", "yes"),
        ),
        ("word\u200b#one كلمة\u200f#two word\u0301#no नमस्ते#no", ("one", "two")),
        ("x.example/?q=#no a/#no b&#no _#no #_ #__a", ("__a",)),
        ("", ()),
    ],
)
def test_hashtags_of_a_caption(caption: str, hashtags: tuple[str, ...]) -> None:
    assert hashtags_in(caption) == hashtags


def write_posts(folder: Path, harrison_root: Path, *, suffix: str) -> Path:
    """The colours as posts of a person who also begs for likes."""
    photos = sorted(harrison_root.glob("*.jpg"))
    rows = []
    for number, photo in enumerate(photos):
        (folder / photo.name).write_bytes(photo.read_bytes())
        colour = ("sky", "grass", "sunset", "night")[number % 4]
        rows.append((photo.name, f'My "{colour}", #{colour.title()} #like4like #post{number}'))
    rows.append(("lost.jpg", "#sky"))
    path = folder / f"posts{suffix}"
    if suffix == ".csv":
        quoted = ['"' + caption.replace('"', '""') + '"' for _, caption in rows]
        lines = [f"{name},{text}\n" for (name, _), text in zip(rows, quoted, strict=True)]
        path.write_text("image,caption\n" + "".join(lines), encoding="utf-8-sig")
    else:
        lines = [json.dumps({"image": name, "caption": text}) + "\n" for name, text in rows]
        path.write_text("".join(lines))
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_own_posts_become_a_photo_set(
    harrison_root: Path, tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_posts(tmp_path, harrison_root, suffix=suffix)
    with caplog.at_level(logging.INFO):
        assert main(["captions", str(path), "--min-count", "2"]) == 0
    photoset = PhotoSet.load(tmp_path)
    assert photoset.vocabulary.tags == ("sky", "grass", "night", "sunset")
    assert len(photoset.photos) == 160
    assert {len(photo.tags) for photo in photoset.photos} == {1}
    assert "photos: 161 read; left out: 1 missing; kept: 160" in caplog.messages


def test_no_bait_has_a_capital_or_a_sign() -> None:
    assert all(hashtags_in(f"#{tag}") == (tag,) for tag in bait())
    assert {"like4like", "followforfollow"} <= bait()
    assert not {"sunset", "food", "tbt"} & bait()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("posts.txt", "", "as .jsonl or .csv"),
        ("lost.csv", None, "there is no file .*lost.csv$"),
        ("posts.csv", "", "posts.csv is empty$"),
        ("posts.csv", "image,caption\n", "posts.csv has no rows$"),
        (
            "posts.csv",
            "image;text\na.jpg;x\n",
            "the columns image, text; it needs image and caption",
        ),
        ("posts.csv", "image,caption\na.jpg,caf\xe9\n", "is not in UTF-8: save it as UTF-8"),
        (
            "posts.jsonl",
            "{}\n",
            "posts.jsonl: no row can be used. posts.jsonl, line 1: .* no image",
        ),
    ],
)
def test_files_that_hold_no_posts_are_named(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=message):
        read_captions(tmp_path / name)


def test_rows_that_cannot_be_used_are_told_with_their_lines(tmp_path: Path) -> None:
    rows = [
        '{"image": "a.jpg", "caption": "#sea"}',
        '{"image": "b.jpg", "caption": null}',
        "",
        '{"image": "c.jpg" "caption": "#sea"}',
        '{"image": "d.jpg"}',
        '{"image": "", "caption": "#sea"}',
        "[]",
    ]
    (tmp_path / "b.jsonl").write_text("\n".join(rows))
    captions = read_captions(tmp_path / "b.jsonl")
    assert captions.posts == (Post("a.jpg", ("sea",)), Post("b.jpg", ()))
    assert captions.broken == (
        "b.jsonl, line 4: this is no JSON (Expecting ',' delimiter, column 19)",
        "b.jsonl, line 5: there is no caption",
        "b.jsonl, line 6: there is no image",
        "b.jsonl, line 7: this is no JSON object",
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_whatever_delimits_a_csv_files_columns(tmp_path: Path, delimiter: str) -> None:
    rows = [("image", "caption"), ("a.jpg", '"#sea, #sky; #sun"'), (" ", "#sea"), ("b.jpg", "")]
    text = "".join(delimiter.join(row) + "\n" for row in rows)
    (tmp_path / "c.csv").write_text(text)
    captions = read_captions(tmp_path / "c.csv")
    assert captions.posts == (Post("a.jpg", ("sea", "sky", "sun")), Post("b.jpg", ()))
    assert captions.broken == ("c.csv, line 3: there is no image",)


def prepared(path: Path, caplog: pytest.LogCaptureFixture, *options: str) -> tuple[int, list[str]]:
    """The exit code, and what was said."""
    caplog.clear()
    caplog.set_level(logging.INFO)
    return main(["captions", str(path), *options]), caplog.messages


def test_why_there_is_no_photo_to_train_on(
    harrison_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_posts(tmp_path, harrison_root, suffix=".csv")
    code, said = prepared(path, caplog, "--min-count", "500")
    assert (code, said[-1]) == (*(1, f"{path}: no hashtag stands on 500 posts: lower --min-count"),)
    path.write_text("image,caption\n000.jpg,sea\n")
    code, said = prepared(path, caplog)
    assert (code, said[-1]) == (1, f"{path}: no post has a hashtag")
    path.write_text("image,caption\nphotos/000.jpg,#sea\n")
    code, said = prepared(path, caplog, "--min-count", "1")
    assert code == 1
    assert said[-1].startswith("none of the 1 image files is there: their names, such as photos/0")
    assert said[-1].endswith(str(tmp_path))
    path.write_text("image,caption\nempty.jpg,#sea\n")
    (tmp_path / "empty.jpg").touch()
    code, said = prepared(path, caplog, "--min-count", "1")
    assert (code, said[-1]) == (1, f"{tmp_path}: all 1 image files are broken")


def test_an_account_of_rows_hashtags_and_photos_is_given(
    harrison_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_posts(tmp_path, harrison_root, suffix=".jsonl")
    with path.open("a") as file:
        file.write('{"image": "./000.jpg", "caption": "#blue #sky"}\n')
        file.write('{"image": "", "caption": "#blue"}\n')
        file.write('{"image": "001.jpg", "caption": "no hashtag"}\n')
        file.write('{"image": "set/new.jpg", "caption": "#rare"}\n')
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "new.jpg").write_bytes((tmp_path / "000.jpg").read_bytes())
    (tmp_path / "002.jpg").write_bytes(b"")
    code, said = prepared(path, caplog, "--min-count", "2")
    assert code == 0
    assert [line for line in said if "; kept: " in line] == [
        "rows: 165 read; left out: 1 out of form, 2 joined to an earlier row of the same image; "
        "kept: 162",
        "hashtags: 167 read; left out: 1 that beg for likes (like4like), "
        "162 on fewer than 2 photos (--min-count); kept: 4",
        "photos: 162 read; left out: 1 missing, 1 without a kept hashtag, 1 broken; kept: 159",
    ]
    assert "most frequent: sky 41, grass 40, night 40, sunset 40" in said
    assert said[-1].endswith("broken.txt: 3 out of form, missing or broken")
    listed = (tmp_path / "broken.txt").read_text().splitlines()
    assert listed == [
        "posts.jsonl, line 163: there is no image",
        "lost.jpg: there is no such file",
        "002.jpg: This is not an image that can be read",
    ]
    assert len(PhotoSet.load(tmp_path).photos) == 159
