from dataclasses import replace

import pytest

from hashstagram.bundle import Bundle
from training.export import model_card


@pytest.fixture
def derived(bundle: Bundle) -> Bundle:
    """The small bundle, had it started from two networks' weights."""
    weights = [
        {"network": "vgg16", "source": "PyPI package v 1", "sha256": "ab", "licence": "Apache-2.0"},
        {"network": "vit_b_16", "source": "v.pth", "sha256": "cd", "licence": "CC-BY-NC-4.0"},
    ]
    return replace(bundle, config=replace(bundle.config, training={"weights": weights}))


def test_the_card_names_the_weights_and_begins_with_what_they_forbid(derived: Bundle) -> None:
    card = model_card(derived, "# Pets\n\nDogs and cats.\n", {})
    title, notice, text = card.split("\n\n")[:3]
    assert title == "# Pets"
    assert notice.startswith("**Not for commercial use")
    assert "CC-BY-NC-4.0" in notice
    assert text == "Dogs and cats."
    assert "- vgg16 started from PyPI package v 1 (SHA-256 ab), licence: Apache-2.0." in card
    assert "- vit_b_16 started from v.pth (SHA-256 cd), licence: CC-BY-NC-4.0." in card


def test_without_a_text_or_weights_the_card_is_its_name_and_facts(bundle: Bundle) -> None:
    card = model_card(bundle, "", {})
    assert card.startswith("# tiny\n\n## Facts\n\n- Exported")
    assert "commercial" not in card
    assert "started from" not in card
