import json
import logging
from pathlib import Path

import pytest

from training.captions import bait, hashtags_in, read_captions
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
    assert any("1 of 161 image files are missing" in message for message in caplog.messages)


def test_no_bait_has_a_capital_or_a_sign() -> None:
    assert all(hashtags_in(f"#{tag}") == (tag,) for tag in bait())
    assert {"like4like", "followforfollow"} <= bait()
    assert not {"sunset", "food", "tbt"} & bait()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("posts.txt", "", "as .jsonl or .csv"),
        ("posts.jsonl", '{"image": "a.jpg"}\n', 'line 1: there is no "caption"'),
        ("posts.jsonl", '\n{"caption": "a"}\n', 'line 2: there is no "image"'),
        ("posts.jsonl", "[]\n", 'line 1: there is no "image"'),
        ("posts.jsonl", "{", "cannot be read"),
        ("posts.csv", "photo,caption\na.jpg,x\n", 'line 2: there is no "image"'),
        ("posts.csv", "image,caption\na.jpg\n", 'line 2: there is no "caption"'),
    ],
)
def test_broken_caption_files_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_captions(tmp_path / name)


def test_a_file_without_a_frequent_tag_says_so(
    harrison_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_posts(tmp_path, harrison_root, suffix=".csv")
    assert main(["captions", str(path), "--min-count", "500"]) == 1
    assert "no photo to train on" in caplog.messages[-1]
