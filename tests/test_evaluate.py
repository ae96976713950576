import ast
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hashstagram.bundle import Bundle
from hashstagram.calibration import Calibration
from hashstagram.checksums import write_checksums
from hashstagram.files import FILES
from hashstagram.recommender import Recommender
from hashstagram.vocabulary import Vocabulary
from tests.conftest import ROOT
from training import evaluate, metrics
from training.dataset import UNSURE
from training.photoset import PhotoSet, save_seen
from training.prepare import open_photoset
from training.spelling import respelled


@pytest.fixture(scope="module")
def photoset(harrison_root: Path) -> PhotoSet:
    return open_photoset(harrison_root)


@pytest.fixture
def trained(bundle_dir: Path, photoset: PhotoSet) -> Path:
    """The small bundle, as if it had been trained on the set."""
    save_seen(bundle_dir / evaluate.SEEN, photoset.split("train", "val"))
    return bundle_dir


def test_the_report_on_photos_it_has_not_seen(trained: Path, photoset: PhotoSet) -> None:
    evaluation = evaluate.examine(trained, photoset, knn=True)
    report = evaluation.report
    assert report["photos"] == len(photoset.split("test")) == len(evaluation.scores)
    assert set(report["baselines"]) == {"popularity", "knn"}
    for baseline in report["baselines"].values():
        assert baseline.keys() == evaluate.measure(evaluation.scores, evaluation.targets).keys()
    # Embeddings of random weights tell four colours apart all the same.
    knn, popularity = (report["baselines"][name] for name in ("knn", "popularity"))
    assert knn["mean_average_precision"] > popularity["mean_average_precision"] + 20
    for name, (low, high) in report["intervals"].items():
        assert low <= float(evaluate.figure(report, name)) + 0.05, name
        assert high >= float(evaluate.figure(report, name)) - 0.05, name
    assert evaluation.frequency.sum() == sum(len(p.tags) for p in photoset.split("train", "val"))
    # The tag "photo" is none of the model's: it scores -1, and is never among the five.
    assert (evaluation.scores[:, photoset.vocabulary.index["photo"]] == -1).all()
    assert report["coverage"] < 100
    assert report["bundle"] == {
        "name": "tiny",
        "architecture": "shufflenet_v2_x0_5",
        "path": str(trained),
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    # Seven of the ten tags are none of the set's, and the weights are random.
    assert 40 < report["foreign_tags"] < 100
    signs = " ".join(warning["sign"] for warning in report["warnings"])
    assert "a vote of the nearest seen photos" in signs
    assert "photos of colours get with a score of 0.5 or more are of other sets" in signs


def test_words_by_the_bundles_threshold(bundle: Bundle, photoset: PhotoSet, tmp_path: Path) -> None:
    replace(bundle, config=replace(bundle.config, word_threshold=0.3)).save(tmp_path / "words")
    bundle.save(tmp_path / "plain")
    for name, threshold in {"words": 0.3, "plain": 0.5}.items():
        evaluation = evaluate.examine(tmp_path / name, photoset, knn=False)
        words = evaluation.report["per_word_threshold"]
        assert words.keys() == evaluation.report["per_word"].keys() | {"threshold", "given"}
        given = (evaluation.scores >= threshold).sum(dim=1).double().mean()
        assert (words["threshold"], words["given"]) == (threshold, round(float(given), 2))
        recall = metrics.per_word(evaluation.scores, evaluation.targets, threshold=threshold).recall
        assert words["recall"] == round(100 * float(recall), 2) > 0
        rows = [line.split() for line in evaluate.table(evaluation.report).splitlines()]
        assert ["per_word_threshold.recall", f"{words['recall']:.1f}"] in rows


def test_photos_are_scored_as_they_are_served(trained: Path, photoset: PhotoSet) -> None:
    recommender = Recommender.from_pretrained(trained)
    calibration = Calibration(scale=0.5, bias=tuple(0.1 * n for n in range(10)))
    recommender.bundle = replace(
        recommender.bundle, config=replace(recommender.bundle.config, calibration=calibration)
    )
    photo = photoset.photos[0]
    embeddings = evaluate.embed(recommender, [photo])
    served = recommender.scores(recommender.preprocess(photo.path.read_bytes()).unsqueeze(0))
    assert recommender.calibrated_scores(embeddings).equal(served)


def test_what_is_unsure_is_neither_right_nor_wrong() -> None:
    generator = torch.Generator().manual_seed(4)
    scores = torch.rand(50, 12, generator=generator)
    scores[:, 3] = -1  # the model lacks it
    targets = (torch.rand(50, 12, generator=generator) < 0.3).float()
    targets[:, 0] = 1
    targets[(torch.rand(50, 12, generator=generator) < 0.3) & (targets == 0)] = UNSURE
    ranked, truth = evaluate.judged(scores, targets)
    for precision, photo_scores, tag in zip(
        metrics.average_precisions(ranked, truth), scores.T, targets.T, strict=True
    ):
        sure = tag != UNSURE
        [expected] = metrics.average_precisions(photo_scores[sure, None], tag[sure, None] == 1)
        assert precision == expected
    alone = [
        metrics.figures(photo[known][None], truth[known][None] == 1)
        for photo, truth in zip(scores, targets, strict=True)
        for known in [truth != UNSURE]
    ]
    together = metrics.figures(ranked, truth)
    for name in ("precision_at_1", "recall_at_5", "accuracy_at_5", "precision_at_5"):
        mean = sum(float(figures[name]) for figures in alone) / len(alone)
        assert float(together[name]) == pytest.approx(mean), name
    sure = metrics.top_k(ranked, 5)
    assert not (sure & (targets == UNSURE)).any()
    assert sum(each.answers for each in metrics.reliability(ranked, truth)) == sure.sum()


def test_a_model_is_not_blamed_for_what_may_be_there(trained: Path, photoset: PhotoSet) -> None:
    """All tags that photos lack are unsure: whatever is answered is right."""
    tags = photoset.vocabulary.tags
    photos = (
        replace(photo, unsure=tuple(tag for tag in tags if tag not in photo.tags))
        for photo in photoset.photos
    )
    strict = evaluate.evaluate_bundle(trained, photoset)
    report = evaluate.examine(trained, replace(photoset, photos=tuple(photos)), knn=True).report
    answered = [p for p in photoset.split("test") if {"sky", "sunset", "night"} & {*p.tags}]
    share = 100 * len(answered) / report["photos"]
    assert strict["precision_at_1"] < share < 100
    for figures in (report, report["baselines"]["knn"]):
        assert figures["precision_at_1"] >= round(share, 2) == report["precision_at_1"]
    assert {each["right"] for each in report["reliability"]} == {1.0}
    assert (strict["confident_wrong"]["photos"] > 0) == (strict["confident_wrong"]["answers"] > 0)
    assert strict["confident_wrong"]["photos"] > 0
    assert report["confident_wrong"]["answers"] == report["confident_wrong"]["photos"] == 0
    assert report["confident_wrong"]["judged"] < strict["confident_wrong"]["judged"]
    for name in ("covered", "abstained", "foreign_tags"):  # about the answer, not the label
        assert report[name] == strict[name], name


def test_across_vocabularies_only_what_both_know_counts(trained: Path, photoset: PhotoSet) -> None:
    """The model knows three of the set's five tags; grass and photo are the other two."""
    report = evaluate.evaluate_bundle(trained, photoset)
    shared = report["shared"]
    counts = Counter(
        t for p in photoset.split("test") for t in p.tags if t not in ("grass", "photo")
    )
    assert shared["tags"] == len(counts) == 3
    assert shared["photos"] == counts.total() < report["photos"]
    # Three tags fit into five answers.
    assert shared["recall_at_5"] == shared["accuracy_at_5"] == 100 > report["recall_at_5"]
    popularity = shared["baselines"]["popularity"]
    learnt = Counter(t for p in photoset.split("train", "val") for t in p.tags if t in counts)
    assert popularity["precision_at_1"] == round(
        100 * counts[learnt.most_common(1)[0][0]] / shared["photos"], 2
    )
    assert popularity.keys() == shared.keys() - {"photos", "tags", "baselines"}
    assert report["covered"]["set"] <= report["covered"]["all"] > 0


def test_a_set_is_measured_in_the_models_spelling(
    bundle: Bundle, photoset: PhotoSet, tmp_path: Path
) -> None:
    tags = ("clouds" if tag == "sky" else tag for tag in bundle.vocabulary.tags)
    replace(bundle, vocabulary=Vocabulary(tuple(tags))).save(tmp_path / "clouds")
    cloudy = respelled(photoset, {"sky": "cloud"})
    evaluation = evaluate.examine(tmp_path / "clouds", cloudy, knn=False)
    assert evaluation.vocabulary.tags[1] == "clouds"
    assert evaluation.report["shared"]["tags"] == 3


def test_a_set_without_a_tag_of_the_models_is_refused(
    trained: Path, harrison_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(harrison_root, tmp_path / "colours")
    for name in ("tag_list.txt", "vocab_index.txt"):
        text = (tmp_path / "colours" / name).read_text()
        (tmp_path / "colours" / name).write_text(re.sub(r"\b([a-z])", r"x\1", text))
    assert evaluate.main(["--bundle", str(trained), "--data", str(tmp_path / "colours")]) == 1
    assert re.search(r"tiny knows none of the tags .* such as 'x\w+'", caplog.messages[-1])


def test_the_report_is_the_same_again(trained: Path, photoset: PhotoSet) -> None:
    one, two = (evaluate.evaluate_bundle(trained, photoset) for _ in range(2))
    assert one == two
    assert set(one["baselines"]) == {"popularity"}


def test_without_seen_photos_there_is_no_knn_but_a_warning(
    bundle_dir: Path, photoset: PhotoSet, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        report = evaluate.examine(bundle_dir, photoset, knn=True).report
    assert set(report["baselines"]) == {"popularity"}
    assert "no kNN baseline: the model has seen no photo of colours" in caplog.messages
    warning = report["warnings"][0]
    assert warning.keys() == {"sign", "cause", "figure"}
    assert any(m.startswith("WARNING: the bundle does not say") for m in caplog.messages)


def test_near_duplicates_of_training_photos_are_reported(trained: Path, photoset: PhotoSet) -> None:
    grouped = replace(photoset, photos=tuple(replace(p, group="burst") for p in photoset.photos))
    warning = evaluate.evaluate_bundle(trained, grouped)["warnings"][0]
    assert warning["figure"] == len(photoset.split("test"))


def test_a_model_that_gives_no_numbers_is_measured_and_named(
    trained: Path, photoset: PhotoSet
) -> None:
    weights = load_file(trained / "weights.safetensors")
    weights["fc.bias"].fill_(torch.nan)
    save_file(weights, trained / "weights.safetensors")
    write_checksums(trained, FILES)
    report = evaluate.evaluate_bundle(trained, photoset)
    assert report["accuracy_at_5"] == 0
    assert any("not numbers" in warning["sign"] for warning in report["warnings"])
    json.dumps(report, allow_nan=False)


def test_the_runs_own_curve_is_judged(trained: Path, photoset: PhotoSet) -> None:
    figures = {"photos": 500, "precision_at_1": 30.0, "recall_at_5": 30.0}
    jumped = figures | {"precision_at_1": 80.0}
    lines = [
        {"epoch": n, "loss": 5.0 if n else None, "val": {"elsewhere": v}}
        for n, v in enumerate([figures, figures, jumped])
    ]
    (trained / evaluate.LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    warning = evaluate.evaluate_bundle(trained, photoset)["warnings"][0]
    assert warning["sign"].startswith("precision@1 on elsewhere jumped from 30.0 to 80.0")


def test_the_command_prints_a_table_and_writes_the_same_figures(
    trained: Path, harrison_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--bundle", str(trained), "--data", str(harrison_root), "--no-knn"]
    assert evaluate.main([*arguments, "--json", str(tmp_path / "r.json")]) == 0
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        *(str(report["photos"]), "photos", "of", "colours,", "per", "cent"),
        *("model", "95", "%", "interval", "popularity"),
    ]
    assert len({len(line) for line in lines}) == 1
    [recall] = [line.split() for line in lines if line.startswith("recall_at_5")]
    low, high = report["intervals"]["recall_at_5"]
    assert recall[1:] == [
        *(f"{report['recall_at_5']:.1f}", f"{low:.1f}", "-", f"{high:.1f}"),
        f"{report['baselines']['popularity']['recall_at_5']:.1f}",
    ]
    for field in ("precision_at_1", "accuracy_at_5", "precision_at_5", "mean_average_precision"):
        assert 0 <= report[field] <= 100
    assert report["per_word"].keys() == {"precision", "recall", "f1", "n_plus", "words"}
    assert isinstance(report["per_word"]["n_plus"], int)
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    wrong, covered, shared = (report[name] for name in ("confident_wrong", "covered", "shared"))
    assert rows["confident_wrong.photos"] == [f"{wrong['photos']:.1f}"]
    assert rows["covered.set"] == [f"{covered['set']:.1f}"]
    assert rows["shared:"] == [str(shared["photos"]), "photos,", "3", "tags"]
    assert rows["shared.precision_at_1"] == [
        f"{shared['precision_at_1']:.1f}",
        f"{shared['baselines']['popularity']['precision_at_1']:.1f}",
    ]
    # Three of the set's five tags are among the model's.
    assert sum(each["answers"] for each in report["reliability"]) == 3 * report["photos"]


def test_the_page_alone_needs_matplotlib_and_jinja() -> None:
    needing = {
        path.name
        for path in (ROOT / "training").glob("*.py")
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.Import | ast.ImportFrom)
        if re.search(r"\b(matplotlib|jinja2|training\.report)\b", ast.unparse(statement))
    }
    # Training keeps the log, and a sheet is a page too.
    assert needing == {"report.py", "runlog.py", "sheet.py"}


def test_a_set_that_was_all_trained_on_is_refused(
    bundle_dir: Path,
    photoset: PhotoSet,
    harrison_root: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    save_seen(bundle_dir / evaluate.SEEN, photoset.photos)
    arguments = ["--bundle", str(bundle_dir), "--data", str(harrison_root)]
    assert evaluate.main(arguments) == 1
    assert "was trained on every photo of colours" in caplog.messages[-1]


def test_several_sets_are_measured_each_by_itself(
    trained: Path, harrison_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "more"
    shutil.copytree(harrison_root, other)
    (other / "data_list.txt").write_text("".join(f"{n:03}.jpg\n" for n in range(160)))
    arguments = ["--bundle", str(trained), "--data", str(harrison_root), "--data", str(other)]
    assert evaluate.main([*arguments, "--no-knn", "--json", str(tmp_path / "r.json")]) == 0
    written = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [report["set"] for report in written["sets"]] == ["colours", "more"]
    tables = capsys.readouterr().out.split("\n\n")
    assert ["photos of more" in text for text in tables] == [False, True]
    with pytest.raises(SystemExit):
        evaluate.main([*arguments, "--html", str(tmp_path / "r.html")])


def test_nobody_reads_to_the_end() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "training.evaluate", "--help"]
    ended = subprocess.run(command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (-signal.SIGPIPE, b"")
