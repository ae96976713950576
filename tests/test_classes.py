"""Classes that a network was pretrained on: read off as tags, and kept while it learns others."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import get_model

from hashstagram.bundle import Bundle
from hashstagram.classes import PretrainedClasses, lent
from hashstagram.errors import InvalidBundleError
from hashstagram.recommender import Recommender
from hashstagram.vocabulary import Vocabulary
from tests.test_pipeline import CONFIG
from training import train
from training.classes import NAMES, classes_of, expand, read_off, refit
from training.config import LossConfig
from training.loss import network_loss, partial_loss


def test_a_tag_is_there_if_the_network_or_its_classes_say_so() -> None:
    vocabulary = Vocabulary(("beach", "pet", "cat", "piano"))
    classes = PretrainedClasses(4, {"cat": (0, 2), "piano": (3,)}, {"pet": (0, 1, 2)})
    shares = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    scores = lent(torch.tensor([[0.5, 0.5]]), shares.log(), classes.membership(vocabulary))
    torch.testing.assert_close(scores, torch.tensor([[0.5, 0.5 + 0.5 * 0.6, 0.4, 0.4]]))


@pytest.mark.parametrize("place", [{"tags": {"dog": (4,)}}, {"tags": {}, "lends": {"dog": ()}}])
def test_a_class_that_is_not_there_is_refused(place: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="'dog'"):
        PretrainedClasses(4, **place)


def test_the_table_names_imagenets_classes_and_leaves_taught_tags_alone() -> None:
    classes = read_off(Vocabulary(("cat", "beach")))
    assert classes.count == 1000
    assert "cat" not in classes.tags
    assert "beach" not in classes.tags
    assert classes.tags["pizza"] == (963,)
    assert {"cat", "beach"} <= classes_of().keys()


def test_no_two_classes_share_a_name() -> None:
    assert len(set(NAMES)) == 1000


@pytest.mark.parametrize(
    ("entries", "classes"),
    [
        (["crane bird", "crane"], {134, 517}),
        (["Cardigan"], {264}),
        (["cardigan"], {474}),
        (["tabby .. Egyptian cat"], {281, 282, 283, 284, 285}),
        (["#cat", "lion"], {281, 285, 291}),
        (["#both"], {281, 285, 151}),
    ],
)
def test_a_row_holds_classes_runs_of_them_and_other_rows(
    entries: list[str], classes: set[int]
) -> None:
    table = {"cat": ["tabby", "Egyptian cat"], "both": ["#cat", "Chihuahua"]}
    assert expand(entries, table) == classes


@pytest.mark.parametrize("entry", ["tabbi", "#mouse", "tabby .. lyon", "lion .. tabby"])
def test_a_row_that_names_nothing_is_refused(entry: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        expand([entry], {"cat": ["tabby"]})


@pytest.mark.parametrize(
    ("tag", "is_one", "is_none"),
    [
        ("dog", "pug", "timber wolf"),
        ("bird", "king penguin", "electric ray"),
        ("wildlife", "bald eagle", "pug"),
        ("airplane", "airliner", "plane"),  # the carpenter's
        ("insect", "ladybug", "scorpion"),
        ("wedding", "groom", "broom"),
        ("corgi", "Cardigan", "cardigan"),
        ("cardigan", "cardigan", "Cardigan"),
        ("fish", "goldfish", "starfish"),
        ("fruit", "Granny Smith", "cucumber"),
    ],
)
def test_the_table_knows_what_is_what(tag: str, is_one: str, is_none: str) -> None:
    assert NAMES.index(is_one) in classes_of()[tag]
    assert NAMES.index(is_none) not in classes_of()[tag]


def test_what_was_known_is_held_where_it_was() -> None:
    config = LossConfig(keep_classes=2.0)
    logits, known = torch.randn(3, 5), torch.tensor([[0.7, 0.3]] * 3)
    tags = torch.tensor([[1.0, 0.0, -1.0]] * 3)
    loss = network_loss(logits, torch.cat([tags, known], dim=1), config, classes=2)
    kept = -(known * logits[:, 3:].log_softmax(dim=1)).sum(dim=1)
    torch.testing.assert_close(loss, partial_loss(logits[:, :3], tags, config) + 2 * kept)
    logits[:, 3:] = known.log()  # nothing forgotten: no gradient
    logits.requires_grad_()
    network_loss(logits, torch.cat([tags, known], dim=1), config, classes=2).sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[:, 3:], torch.zeros(3, 2), atol=1e-6, rtol=0)


@pytest.fixture(scope="module")
def run(harrison_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that keeps the thousand classes of its weights, for which random ones will do."""
    folder = tmp_path_factory.mktemp("classes")
    torch.manual_seed(5)
    network = get_model("shufflenet_v2_x0_5", weights=None)
    save_file(network.state_dict(), folder / "imagenet.safetensors")
    text = CONFIG.replace("epochs = 12", "epochs = 2") + "\n[loss]\nkeep_classes = 1.0\n"
    (folder / "classes.toml").write_text(text)
    arguments = ["--config", str(folder / "classes.toml"), "--data", str(harrison_root)]
    arguments += ["--weights", str(folder / "imagenet.safetensors"), "--out", str(folder / "run")]
    assert train.main(arguments) == 0
    return folder / "run"


def test_a_run_keeps_classes_and_answers_with_their_tags(run: Path, jpeg: bytes) -> None:
    recommender = Recommender.from_pretrained(run)
    tags = recommender.bundle.vocabulary.tags
    assert tags[0] == "photo"
    assert set(tags[1:5]) == {"grass", "night", "sky", "sunset"}
    assert "pizza" in tags[5:]
    assert recommender.bundle.config.model.num_classes == 5 + 1000
    [answer] = recommender.recommend([jpeg], k=len(tags))
    assert {hashtag.tag for hashtag in answer} == set(tags)


def test_tags_that_do_not_fit_the_classes_are_refused(run: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(run)
    shorter = Vocabulary(bundle.vocabulary.tags[:-1])
    Bundle(bundle.config, shorter, bundle.model).save(tmp_path / "b")
    with pytest.raises(InvalidBundleError, match="classes' tags"):
        Bundle.load(tmp_path / "b")


def test_classes_say_again_what_they_said_before() -> None:
    """Also of photos that the fit has not seen, where the features have moved smoothly."""
    generator = torch.Generator().manual_seed(3)
    before = torch.randn(400, 12, generator=generator)
    moved = before + 0.3 * before @ torch.randn(12, 12, generator=generator)
    start, model = nn.Sequential(nn.Linear(12, 9)), nn.Sequential(nn.Linear(12, 9))
    rows = [features[:300].half().numpy() for features in (before, moved)]
    tags = model[0].weight[:4].clone()
    refit(model, start, *rows, count=5)
    said = start[0](before[300:])[:, -5:]
    off, lost = (
        (network[0](moved[300:])[:, -5:] - said).abs().mean() for network in (model, start)
    )
    assert off < 0.2 * lost
    assert torch.equal(model[0].weight[:4], tags)
