import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hashstagram.bundle import Bundle, check_bundle, main
from hashstagram.checksums import write_checksums
from hashstagram.errors import InvalidBundleError
from hashstagram.files import FILES

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
    write_checksums(bundle_dir, FILES)
    with pytest.raises(InvalidBundleError, match=message):
        check_bundle(bundle_dir)
    assert main([str(bundle_dir)]) == 1
    assert message in capsys.readouterr().err


def flip_a_bit(directory: Path) -> None:
    path = directory / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


CHANGES: dict[str, tuple[Spoil, str]] = {
    "a-bit": (flip_a_bit, "weights.safetensors is not the file"),
    "another-activation": (
        edit("config.json", activation="softmax"),
        "config.json is not the file",
    ),
    "two-tags": (edit("index_to_name.json", **{"0": "dog", "2": "sunset"}), "index_to_name.json"),
    "a-file-more": (lambda d: (d / "usage.json").write_text("{}"), "usage.json is not in SHA256"),
    "no-checksums": (lambda d: (d / "SHA256SUMS").unlink(), "no SHA256SUMS"),
    "no-digest": (lambda d: (d / "SHA256SUMS").write_text("weights\n"), "line 1 of SHA256SUMS"),
    "elsewhere": (
        lambda d: (d / "SHA256SUMS").write_text(f"{'0' * 64}  ../weights.safetensors\n"),
        "line 1 of SHA256SUMS",
    ),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_a_changed_bundle_is_refused_until_it_is_sealed_again(
    bundle_dir: Path, change: Spoil, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(bundle_dir)
    for read in (check_bundle, Bundle.load):
        with pytest.raises(InvalidBundleError, match=message):
            read(bundle_dir)
    (bundle_dir / "usage.json").unlink(missing_ok=True)  # that one was no usage anyway
    assert main([str(bundle_dir), "--seal"]) == 0
    check_bundle(bundle_dir)
    assert "is a complete bundle" in capsys.readouterr().out


def test_sha256sum_checks_a_bundle_too(bundle_dir: Path) -> None:
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(command, cwd=bundle_dir).returncode == 0
    flip_a_bit(bundle_dir)
    assert subprocess.run(command, cwd=bundle_dir).returncode == 1


def test_saving_replaces_an_earlier_bundle_and_leaves_other_files_alone(
    bundle: Bundle, bundle_dir: Path
) -> None:
    (bundle_dir / "usage.json").write_text("an earlier bundle's")
    (bundle_dir / "notes.txt").write_text("mine")
    (bundle_dir / ".part").mkdir()  # of a save that was cut off
    (bundle_dir / ".part" / "usage.json").write_text("half a fi")
    bundle.save(bundle_dir)
    check_bundle(bundle_dir)
    names = {path.name for path in bundle_dir.iterdir()}
    assert names == {
        *("weights.safetensors", "config.json", "index_to_name.json", "SHA256SUMS", "notes.txt")
    }


def test_a_bundle_that_is_in_use_can_be_saved_over(bundle: Bundle, bundle_dir: Path) -> None:
    """Its weights lie in the file: writing into that one would change them under its user."""
    loaded = Bundle.load(bundle_dir)
    weight = loaded.model.state_dict()["fc.weight"].clone()
    Bundle.load(bundle_dir).save(bundle_dir, dtype=torch.float16)
    assert torch.equal(loaded.model.state_dict()["fc.weight"], weight)


@pytest.mark.parametrize("compact", [False, True], ids=["expanded", "compact"])
def test_only_weights_in_single_precision_are_used_where_they_lie(
    bundle: Bundle, tmp_path: Path, compact: bool
) -> None:
    bundle.save(tmp_path / "tiny", dtype=torch.float16 if compact else torch.float32)
    loaded = Bundle.load(tmp_path / "tiny")
    [low, high] = mapped(tmp_path / "tiny" / "weights.safetensors") or [0, 0]
    inside = [low <= p.data_ptr() < high for p in loaded.model.parameters()]
    assert set(inside) == {not compact}


def mapped(path: Path) -> list[int]:
    """From where to where in this process's memory a file lies."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    [line] = [line for line in lines if line.endswith(str(path))] or [""]
    return [int(end, 16) for end in line.split(" ")[0].split("-")] if line else []


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
