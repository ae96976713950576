"""Both sides of every sign: what must be said, and what must not."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from training import suspicion
from training.evaluate import measure
from training.harrison import DataError
from training.photoset import Photo, Split, folder_leak


def history(
    precision: list[float], losses: list[float | None], *, photos: int = 800
) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "loss": loss,
            "val": {"set": {"photos": photos, "precision_at_1": p, "recall_at_5": p * 0.9}},
        }
        for epoch, (p, loss) in enumerate(zip(precision, losses, strict=True))
    ]


HONEST = {
    # A pretrained backbone: the head is most of the way, the rest adds some points.
    "pretrained": ([64.4, 67.9, 69.6, 70.4, 70.8], [None, 6.1, 5.6, 5.3, 5.2], False),
    # Far from ImageNet: tuning all layers does a lot at once.
    "far-domain": ([22.0, 44.0, 58.0, 63.0, 65.0], [None, 5.2, 4.1, 3.6, 3.4], False),
    # From nothing: any climb out of epoch 0, and steep ones while the loss falls.
    "fresh": ([1.0, 9.0, 26.0, 38.0, 45.0], [None, 6.4, 5.5, 4.9, 4.6], True),
    # A plateau at popularity, then it takes off; the averaged weights are an epoch late.
    "plateau": ([10.0, 10.0, 10.1, 10.2, 27.0], [None, 7.0, 6.99, 6.1, 5.9], True),
    # The learning rate drops: a late step, and not a small one.
    "step": ([55.0, 60.0, 61.0, 72.0, 73.0], [None, 4.0, 3.9, 3.4, 3.3], False),
    "worse": ([60.0, 30.0, 12.0, 5.0, 1.0], [None, 4.0, 4.0, 4.0, 4.0], False),
}


@pytest.mark.parametrize(("precision", "losses", "fresh"), HONEST.values(), ids=HONEST.keys())
def test_honest_curves_are_left_alone(
    precision: list[float], losses: list[float | None], *, fresh: bool
) -> None:
    assert suspicion.jumps(history(precision, losses), fresh=fresh) == []


TOO_GOOD = {
    "seeds": ([0.3, 0.5, 1.5], [None, 6.90, 6.85], True, 5000),
    "leak-at-resume": ([64.0, 67.0, 68.0, 93.0], [None, 5.6, 5.5, 5.4], False, 800),
    "leak-in-stage-two": ([64.0, 96.0, 97.0], [None, 5.6, 5.5], False, 800),
    "no-loss-logged": ([20.0, 22.0, 55.0], [None, None, None], False, 800),
}


@pytest.mark.parametrize(
    ("precision", "losses", "fresh", "photos"), TOO_GOOD.values(), ids=TOO_GOOD.keys()
)
def test_jumps_that_learning_does_not_explain_are_named(
    precision: list[float], losses: list[float | None], *, fresh: bool, photos: int
) -> None:
    found = suspicion.jumps(history(precision, losses, photos=photos), fresh=fresh)
    signs = [each.sign for each in found]
    assert any("precision@1 on set jumped" in sign for sign in signs)
    assert found[0].figure in precision[1:]
    assert "validation photos" in found[0].cause


def test_a_jump_on_few_photos_is_chance() -> None:
    curve = ([20.0, 22.0, 55.0], [None, 5.0, 5.0])
    assert suspicion.jumps(history(*curve, photos=12), fresh=False) == []
    assert suspicion.jumps(history(*curve, photos=400), fresh=False)


def test_each_set_is_judged_by_itself() -> None:
    lines = history([20.0, 22.0, 55.0], [None, 5.0, 5.0])
    for line in lines:
        line["val"]["calm"] = lines[0]["val"]["set"]
    lines[0]["val"]["late"] = lines[0]["val"]["set"]
    assert {each.sign.split()[2] for each in suspicion.jumps(lines, fresh=False)} == {"set"}


def test_the_history_is_read_and_a_broken_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert suspicion.read_history(path) == []
    lines = history([20.0, 22.0], [None, 5.0])
    without = {"epoch": 2, "loss": 1.0, "val": {}}
    path.write_text("\n".join(json.dumps(line) for line in [*lines, without]) + "\n")
    assert suspicion.read_history(path) == lines
    path.write_text('{"epoch": 0, "lo')
    with pytest.raises(DataError, match=r"metrics\.jsonl"):
        suspicion.read_history(path)


def test_photos_far_easier_than_the_validation_photos() -> None:
    lines = history([60.0], [None])
    same = {"photos": 700, "precision_at_1": 62.0, "recall_at_5": 52.0}
    easier = {"photos": 700, "precision_at_1": 81.0, "recall_at_5": 55.0}
    few = {"photos": 10, "precision_at_1": 90.0, "recall_at_5": 60.0}
    assert suspicion.easier_test(same, lines, "set") == []
    assert suspicion.easier_test(few, lines, "set") == []
    assert suspicion.easier_test(easier, lines, "another set") == []
    assert suspicion.easier_test(easier, [], "set") == []
    [found] = suspicion.easier_test(easier, lines, "set")
    assert found.figure == 81.0
    assert "60.0 on the validation photos" in found.sign


def photo(name: str, *tags: str, split: Split = "train", group: str = "") -> Photo:
    return Photo(Path("set") / name, tags, f"{hash(name) & (2**64 - 1):016x}", split, group)


def foldered(folders: int, clean: int) -> list[Photo]:
    """Photos of which `clean` of 10 in each folder have its tag, the others one of another."""
    return [
        photo(f"{f}/{n}.jpg", f"tag{f if n % 10 < clean else (f + n) % folders}", split=split)
        for f in range(folders)
        for n in range(40)
        for split in (("train", "test")[n % 20 >= 10],)
    ]


def report_of(precision: float, popularity: float) -> dict[str, Any]:
    return {
        "precision_at_1": precision,
        "baselines": {"popularity": {"precision_at_1": popularity}},
    }


def test_the_folder_leak_yardstick() -> None:
    assert folder_leak(foldered(8, 10)) == 100
    assert folder_leak(foldered(8, 9)) == 90
    only_test = [replace(each, split="test") for each in foldered(8, 10)]
    assert folder_leak(only_test) == 0


@pytest.mark.parametrize(
    ("clean", "precision", "popularity", "said"),
    [
        (10, 100.0, 12.0, True),
        (9, 91.0, 12.0, True),
        (9, 89.0, 12.0, False),
        (9, 91.0, 60.0, False),
    ],
    ids=["all", "above", "below", "folders-say-little"],
)
def test_figures_that_the_folders_would_give(
    clean: int, precision: float, popularity: float, *, said: bool
) -> None:
    found = suspicion.leaks(report_of(precision, popularity), foldered(8, clean))
    assert bool(found) == said
    assert all("folder" in each.cause and each.figure == precision for each in found)


def test_one_folder_says_nothing() -> None:
    photos = [photo(f"{n}.jpg", "tag", split=s) for s in ("train", "test") for n in range(30)]
    assert suspicion.leaks(report_of(100.0, 12.0), photos) == []


def test_photos_that_are_not_new_to_the_model() -> None:
    new = [photo(f"{n}.jpg", "a", split="test", group=f"g{n}") for n in range(4)]
    seen = [photo(f"t{n}.jpg", "a", group=f"h{n}") for n in range(4)]
    assert suspicion.shared_photos(new, seen, recorded=True) == []
    unknown = [replace(each, group="") for each in (*new, *seen)]
    assert suspicion.shared_photos(unknown[:4], unknown[4:], recorded=True) == []

    alike = [replace(seen[0], group="g1"), replace(seen[1], group="g3")]
    [found] = suspicion.shared_photos(new, [*alike, *seen[2:]], recorded=True)
    assert found.figure == 2
    assert "near-duplicates" in found.cause

    [found] = suspicion.shared_photos(new, [*seen, replace(seen[0], split="test")], recorded=True)
    assert found.figure == 1
    assert "under two names" in found.cause

    [found] = suspicion.shared_photos(new, [], recorded=False)
    assert "seen_photos.npy is missing" in found.cause


def honest_case(photos: int = 60, tags: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    dice = torch.Generator().manual_seed(1)
    targets = torch.rand(photos, tags, generator=dice) < 0.12
    targets[:, 0] |= ~targets.any(dim=1)
    return (targets + torch.randn(photos, tags, generator=dice)).sigmoid(), targets


def test_an_honest_report_is_plausible() -> None:
    scores, targets = honest_case()
    assert suspicion.implausible(measure(scores, targets), targets) == []


def test_more_than_five_slots_can_hold_is_a_bug_of_the_metric() -> None:
    scores, targets = honest_case()
    at_best = measure(targets.float(), targets)
    assert at_best["recall_at_5"] < 90  # some photos have more than five tags
    for name in ("recall_at_5", "precision_at_5"):
        wrong = measure(scores, targets) | {name: at_best[name] + 1}
        [found] = suspicion.implausible(wrong, targets)
        assert name in found.sign
        assert "computed wrongly" in found.cause


def test_perfection_is_suspicious_where_there_is_much_to_choose_from() -> None:
    _, targets = honest_case(photos=300)
    signs = [
        each.sign for each in suspicion.implausible(measure(targets.float(), targets), targets)
    ]
    for name in ("precision_at_1", "mean_average_precision", "accuracy_at_5"):
        assert any(sign.startswith(f"{name} is 100.0") for sign in signs)
    few = torch.eye(4, dtype=torch.bool).repeat(100, 1)
    assert suspicion.implausible(measure(few.float(), few), few) == []
    assert suspicion.implausible(measure(targets[:9].float(), targets[:9]), targets[:9]) == []


def test_the_same_five_for_every_photo() -> None:
    scores, _ = honest_case()
    assert suspicion.collapsed(scores) == []
    same = scores[:1].expand(60, -1).clone()
    same += torch.rand(60, 1) * 0.01  # not the same scores, but the same order
    [found] = suspicion.collapsed(same)
    assert found.figure == 100
    assert "collapsed to popularity" in found.cause
    same[:, 5:] = -1  # five tags that can be given at all: nothing else is possible
    same[:, :5] = 0.5
    assert suspicion.collapsed(same) == []


def test_scores_that_are_no_numbers() -> None:
    scores, targets = honest_case()
    assert suspicion.not_numbers(scores) == []
    scores[3, 4] = torch.nan
    scores[9] = torch.inf
    [found] = suspicion.not_numbers(scores)
    assert found.figure == 2
    assert "diverged" in found.cause
    scores[:] = torch.nan
    assert measure(scores, targets)["accuracy_at_5"] == 0


def test_warnings_are_loud(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        suspicion.warn([suspicion.Suspicion("it is odd", "a bug", 1.0)])
    assert caplog.messages == ["WARNING: it is odd. Likely cause: a bug."]


def test_a_vote_of_the_nearest_photos_that_is_better() -> None:
    own = {"precision_at_1": 60.0, "recall_at_5": 50.0}
    bounds = {"precision_at_1": [55.0, 65.0], "recall_at_5": [45.0, 55.0]}
    report: dict[str, Any] = own | {"intervals": bounds, "baselines": {"popularity": own}}
    assert suspicion.outdone(report) == []
    report["baselines"]["knn"] = {"precision_at_1": 64.0, "recall_at_5": 57.0}
    [found] = suspicion.outdone(report)
    assert found.sign.startswith("recall@5 is 50.0 per cent")
    assert found.figure == 57.0


def test_tags_of_other_sets() -> None:
    assert suspicion.foreign({"set": "weather", "foreign_tags": 12.0}) == []
    [found] = suspicion.foreign({"set": "weather", "foreign_tags": 61.0})
    assert "unknown_weight" in found.cause
    assert found.figure == 61.0
