import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hashstagram.bundle import Bundle, check_bundle, main
from hashstagram.errors import InvalidBundleError

Spoil = Callable[[Path], object]


def edit(name: str, **fields: object) -> Spoil:
    def spoil(directory: Path) -> None:
        path = directory / name
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return spoil


def drop_a_weight(directory: Path) -> None:
    weights = load_file(directory / "weights.safetensors")
    weights.pop("fc.bias")
    save_file(weights, directory / "weights.safetensors")


SPOILS: dict[str, tuple[Spoil, str]] = {
    "no-weights": (lambda d: (d / "weights.safetensors").unlink(), "no weights.safetensors"),
    "no-config": (lambda d: (d / "config.json").unlink(), "no config.json"),
    "no-vocabulary": (lambda d: (d / "index_to_name.json").unlink(), "no index_to_name.json"),
    "half-a-download": (
        lambda d: (d / "weights.safetensors").write_bytes(b"\x10\x00"),
        "not a safetensors file",
    ),
    "config-no-json": (lambda d: (d / "config.json").write_text("{"), "not a bundle's"),
    "config-no-transform": (lambda d: (d / "config.json").write_text("{}"), "not a bundle's"),
    "unknown-field": (edit("config.json", colour="blue"), "colour"),
    "unknown-activation": (edit("config.json", activation="relu"), "activation"),
    "tag-too-many": (edit("index_to_name.json", **{"10": "extra"}), "11 tags"),
    "tag-twice": (edit("index_to_name.json", **{"9": "dog"}), "index_to_name.json"),
    "other-network": (
        edit("config.json", model={"architecture": "resnet18", "num_classes": 10}),
        "does not fit",
    ),
    "weight-missing": (drop_a_weight, "fc.bias"),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILS.values(), ids=SPOILS)
def test_a_spoiled_bundle_is_refused_with_the_reason(
    bundle_dir: Path, spoil: Spoil, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check_bundle(bundle_dir)
    spoil(bundle_dir)
    with pytest.raises(InvalidBundleError, match=message):
        check_bundle(bundle_dir)
    assert main([str(bundle_dir)]) == 1
    assert message in capsys.readouterr().err


def test_a_bundle_comes_back_as_it_was(bundle: Bundle, bundle_dir: Path) -> None:
    again = Bundle.load(bundle_dir)
    assert again.config == bundle.config
    assert again.vocabulary == bundle.vocabulary
    photo = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(again.model(photo), bundle.model(photo), atol=1e-5)


def test_half_precision_is_half_the_size_and_nearly_the_same(
    bundle: Bundle, bundle_dir: Path, tmp_path: Path
) -> None:
    bundle.save(tmp_path / "half", dtype=torch.float16)
    weights = "weights.safetensors"
    assert (tmp_path / "half" / weights).stat().st_size < 0.52 * (
        bundle_dir / weights
    ).stat().st_size
    photo = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        half = Bundle.load(tmp_path / "half").model(photo)
        assert torch.allclose(half, bundle.model(photo), atol=0.05)
