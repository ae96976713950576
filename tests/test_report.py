import base64
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image

from hashstagram.vocabulary import Vocabulary
from training import evaluate, report
from training.evaluate import Evaluation
from training.photoset import Photo, save_seen
from training.prepare import open_photoset

VOID = {"meta", "img"}
EVIL = '<script>alert("tag")</script>'


class Outline(HTMLParser):
    """The elements of a page, which must be closed in turn, and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def attributes(self, name: str) -> list[str]:
        return [a[name] or "" for _, a in self.elements if name in a]

    def count(self, tag: str) -> int:
        return sum(element == tag for element, _ in self.elements)


@pytest.fixture(scope="module")
def evaluation(
    tmp_path_factory: pytest.TempPathFactory,
    picture: Image.Image,
    encode: Callable[..., bytes],
) -> Evaluation:
    """Forty photos with six tags; a tag and a file name are a stranger's."""
    root = tmp_path_factory.mktemp("evil")
    tags = ("beach", EVIL, "snow", "never", "$x^$", "unknown")
    dice = torch.Generator().manual_seed(3)
    targets = torch.rand(40, 6, generator=dice) < 0.4
    targets[:, 0] |= ~targets.any(dim=1)
    targets[:, 3] = False
    targets[:, 0] |= ~targets.any(dim=1)
    scores = (targets + torch.rand(40, 6, generator=dice)) / 2
    scores[:, 5] = -1
    photos = []
    for number in range(40):
        path = root / f'{number}"><img src=x onerror=alert(1)>.jpg'
        path.write_bytes(encode(picture))
        own = tuple(tag for tag, has in zip(tags, targets[number], strict=True) if has)
        photos.append(Photo(path, own, f"{number:016x}", "test"))
    figures = evaluate.measure(scores, targets)
    bounds = {name: [1.0, 2.0] for name in report.LABELS}
    written = {
        "bundle": {
            "name": EVIL,
            "architecture": "alexnet",
            "path": "runs/it",
            "measured": "2026-01-02",
        },
        "abstained": 3.14,
        "foreign_tags": 2.71,
        "confident_wrong": {"answers": 11.11, "photos": 22.22, "judged": 90.0},
        "covered": {"set": 55.55, "all": 66.66},
        "shared": {"photos": 37, "tags": 5, **figures, "baselines": {"popularity": figures}},
        "set": "evil & co",
        "photos": 40,
        **figures,
        "intervals": bounds,
        "baselines": {"popularity": figures, "knn": figures},
        "reliability": [{"score": 0.4, "right": 0.5, "answers": 80}],
        "warnings": [{"sign": f"odd {EVIL}", "cause": "a bug", "figure": 1.0}],
    }
    history = [{"epoch": n, "loss": n or None, "val": {EVIL: figures}} for n in range(3)]
    vocabulary = Vocabulary(tags)
    return Evaluation(written, photos, vocabulary, scores, targets, targets.sum(dim=0), history)


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> str:
    return report.page(evaluation)


def test_strangers_words_stay_words(page: str) -> None:
    outline = Outline(page)
    assert outline.count("script") == 1
    assert "onerror" not in {name for _, attributes in outline.elements for name in attributes}
    assert "<script>alert" not in page
    assert "#&lt;script&gt;alert(&#34;tag&#34;)&lt;/script&gt;" in page


def test_nothing_is_fetched(page: str) -> None:
    outline = Outline(page)
    assert outline.count("link") == outline.count("iframe") == outline.count("a") == 0
    sources = outline.attributes("src")
    assert len(sources) == 5 + 2 * report.PHOTOS
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"url\(|@import|https?:", page)
    [policy] = [c for c in outline.attributes("content") if "default-src" in c]
    assert "default-src 'none'" in policy


def test_the_policy_lets_its_one_script_run(page: str) -> None:
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert report._csp_hash(script) in page
    assert 'querySelectorAll("th button")' in script


def test_it_can_be_heard_and_sorted(page: str) -> None:
    outline = Outline(page)
    for tag, attributes in outline.elements:
        if tag == "img":
            assert attributes["alt"]
        if tag == "th":
            assert attributes["scope"] in {"row", "col"}
    assert outline.count("button") == 6
    assert 'lang="en"' in page
    assert "prefers-color-scheme: dark" in page


def test_the_warnings_come_first(page: str) -> None:
    assert 0 < page.index("Do not trust these figures yet") < page.index("<table>")
    assert "Likely cause: a bug." in page


def test_without_warnings_and_history_there_are_none(evaluation: Evaluation) -> None:
    calm = Evaluation(
        evaluation.report | {"warnings": []},
        evaluation.photos,
        evaluation.vocabulary,
        evaluation.scores,
        evaluation.targets,
        evaluation.frequency,
        history=[],
    )
    page = report.page(calm)
    assert "Do not trust" not in page
    assert "Training curve" not in page


def test_the_same_evaluation_gives_the_same_page(evaluation: Evaluation, page: str) -> None:
    assert report.page(evaluation) == page


def test_thumbnails_are_small_photos(page: str) -> None:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert len(found) == 2 * report.PHOTOS
    for data in found:
        image = base64.b64decode(data)
        assert image.startswith(b"\xff\xd8")
        assert len(image) < 20_000


def test_a_row_for_each_tag(evaluation: Evaluation) -> None:
    rows = {row.tag: row for row in report.tag_rows(evaluation)}
    assert rows.keys() == set(evaluation.vocabulary.tags)
    counts = [row.photos for row in report.tag_rows(evaluation)]
    assert counts == sorted(counts, reverse=True)
    never, unknown = rows["never"], rows["unknown"]
    assert (never.average_precision, never.recall) == (None, None)
    assert (unknown.precision, unknown.recall) == (None, 0)
    assert unknown.average_precision == pytest.approx(100 * unknown.photos / 40)


def test_best_photos_are_better_than_worst(evaluation: Evaluation) -> None:
    order = report._from_best_to_worst(evaluation)
    assert sorted(order) == list(range(40))
    hits = (evaluation.targets & (evaluation.scores >= 0)).sum(dim=1)  # five tags can be given
    missed = (evaluation.targets.sum(dim=1).clamp(max=5) - hits)[order]
    assert missed[0] == 0 < missed[-1]
    assert (missed[:-1] <= missed[1:]).all()
    best = hits[order][missed == 0]
    assert (best[:-1] >= best[1:]).all()


def test_which_model_it_is_about(page: str) -> None:
    text = " ".join(page.split())
    assert "(alexnet) in runs/it, measured on 2026-01-02." in text


def test_how_sure_it_is_and_what_both_know(page: str) -> None:
    text = " ".join(page.split())
    assert "3.1 per cent of the photos got no score worth a tag; 66.7 got a sure one, 55.5" in text
    assert "2.7 per cent of the sure tags are none of this set's" in text
    assert "11.1 per cent are wrong, on 22.2 per cent of the photos." in text
    assert "Over the 5 tags that the model knows too, which 37 photos have, precision@1" in text


def test_one_evaluation_is_no_curve(evaluation: Evaluation) -> None:
    titles = [
        [plot.title for plot in report._plots(replace(evaluation, history=history))]
        for history in (evaluation.history[:1], evaluation.history[:2])
    ]
    assert not any("Training curve" in title for title in titles[0])
    assert any("Training curve" in title for title in titles[1])


def test_photos_are_counted_in_whole_numbers(evaluation: Evaluation) -> None:
    many = replace(evaluation, frequency=torch.tensor([0, 3, 17, 120, 900, 0]))
    shown = {plot.title: plot.source for plot in report._plots(many)}["Recall by tag frequency"]
    svg = base64.b64decode(shown.partition(",")[2]).decode()
    ticks = re.findall(r"<!-- (\S+) -->", svg)
    assert {"0", "1", "2", "5", "10", "100", "500"} <= set(ticks)
    assert not any("^" in tick or "." in tick for tick in ticks)


def test_the_command_writes_it(bundle_dir: Path, harrison_root: Path, tmp_path: Path) -> None:
    save_seen(bundle_dir / evaluate.SEEN, open_photoset(harrison_root).split("train", "val"))
    out = tmp_path / "page.html"
    arguments = ["--bundle", str(bundle_dir), "--data", str(harrison_root), "--html", str(out)]
    assert evaluate.main(arguments) == 0
    text = out.read_text(encoding="utf-8")
    assert "Evaluation on colours" in text
    assert '<th scope="col">knn</th>' in text
    Outline(text)
