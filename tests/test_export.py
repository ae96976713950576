from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from hashstagram.bundle import Bundle
from training.export import export, model_card, split_card
from training.harrison import DataError

MEASURED = {
    "precision_at_1": 68.94,
    "recall_at_5": 64.4,
    "accuracy_at_5": 94.0,
    "mean_average_precision": 28.1,
}
REPORT = {"photos": 881, **MEASURED, "baselines": {"popularity": dict.fromkeys(MEASURED, 20.0)}}


@pytest.fixture
def derived(bundle: Bundle) -> Bundle:
    """The small bundle, had it started from two networks' weights."""
    weights = [
        {"network": "vgg16", "source": "PyPI package v 1", "sha256": "ab", "licence": "Apache-2.0"},
        {"network": "vit_b_16", "source": "v.pth", "sha256": "cd", "licence": "CC-BY-NC-4.0"},
    ]
    training = {"weights": weights, "data": {"pets": {}, "no": {}}}
    return replace(bundle, config=replace(bundle.config, training=training))


def test_the_card_names_the_weights_and_begins_with_what_they_forbid(derived: Bundle) -> None:
    _, card = split_card(model_card(derived, "# Pets\n\nDogs and cats.\n", {}))
    title, notice, text = card.strip().split("\n\n")[:3]
    assert title == "# Pets"
    assert notice.startswith("**Not for commercial use")
    assert "CC-BY-NC-4.0" in notice
    assert text == "Dogs and cats."
    assert "- vgg16 started from PyPI package v 1 (SHA-256 ab), licence: Apache-2.0." in card
    assert "- vit_b_16 started from v.pth (SHA-256 cd), licence: CC-BY-NC-4.0." in card


def test_without_a_text_or_weights_the_card_is_its_name_and_facts(bundle: Bundle) -> None:
    fields, card = split_card(model_card(bundle, "", {}))
    assert card.startswith("\n\n# tiny\n\n## Facts\n\n- Exported")
    assert "commercial" not in card
    assert "started from" not in card
    assert "model-index" not in fields


def test_the_hub_reads_what_the_model_is_and_what_was_measured(derived: Bundle) -> None:
    card = ModelCard(model_card(derived, "# Pets\n", {"pets": REPORT, "no": REPORT}))
    data = card.data
    assert (data.library_name, data.pipeline_tag) == ("hashstagram", "image-classification")
    assert (data.license, data.license_name) == ("other", "noncommercial")
    assert data.datasets == ["pets", "no"]  # "no" is a word of YAML's too
    assert "shufflenet_v2_x0_5" in data.tags
    assert data.model_name == "tiny"
    measured = [(r.dataset_name, r.metric_type, r.metric_value) for r in data.eval_results]
    assert measured[:2] == [("pets", "precision_at_1", 68.9), ("pets", "recall_at_5", 64.4)]
    assert len(measured) == 2 * len(MEASURED)
    assert {r.dataset_args["photos"] for r in data.eval_results} == {881}
    assert card.text.lstrip().startswith("# Pets\n")


def test_front_matter_that_was_written_by_hand_goes_first(derived: Bundle) -> None:
    text = "---\nlicense: apache-2.0\nlanguage: [de, en]\ntags: [a---b]\n---\n\n# Pets\n\nBody.\n"
    card = ModelCard(model_card(derived, text, {"pets": REPORT}))
    assert card.data.license == "apache-2.0"
    assert card.data.license_name is None
    assert (card.data.language, card.data.tags) == (["de", "en"], ["a---b"])
    assert card.data.eval_results
    assert card.content.count("\n---\n") == 1
    assert card.text.lstrip().startswith("# Pets\n\n**Not for commercial use")
    again, rest = split_card(card.content)
    assert split_card(model_card(derived, card.content, {}))[0] == again
    assert split_card(rest) == ({}, rest)


@pytest.mark.parametrize("text", ["---\na: [\n---\n# X", "---\njust words\n---\n# X"])
def test_front_matter_that_is_none_is_refused_before_anything_is_done(
    bundle_dir: Path, tmp_path: Path, text: str
) -> None:
    with pytest.raises(DataError, match="front matter"):
        export(bundle_dir, tmp_path / "out", card=text, photosets=[])
    assert not (tmp_path / "out").exists()


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    assert split_card("---\n\n# Pets\n") == ({}, "---\n\n# Pets\n")
