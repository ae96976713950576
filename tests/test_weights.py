import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.vision_transformer import VisionTransformer

from hashstagram.bundle import Bundle
from hashstagram.model import ModelConfig, create_model, split_head
from training.harrison import DataError
from training.weights import load_backbone, read_state

NETWORK = "shufflenet_v2_x0_5"
State = dict[str, Tensor]
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def pretrained(network: str = NETWORK, **options: object) -> State:
    torch.manual_seed(3)
    state: State = get_model(network, weights=None, **options).state_dict()
    return state


def fresh(architecture: str = NETWORK, outputs: int = 5, hidden: int | None = None) -> nn.Module:
    torch.manual_seed(4)
    return create_model(ModelConfig(architecture, outputs, hidden=hidden)).eval()


def equal(state: State, model: nn.Module, head: str) -> bool:
    own = model.state_dict()
    return all(torch.equal(w, own[k]) for k, w in state.items() if not k.startswith(head))


def wheel(folder: Path, **members: bytes) -> Path:
    path = folder / "weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("package/__init__.py", "")
        for name, data in members.items():
            archive.writestr(f"package/{name.replace('_', '.')}", data)
    return path


def pth(folder: Path, stored: object, name: str = "net.pth", **options: object) -> Path:
    torch.save(stored, folder / name, **options)
    return folder / name


def safe(folder: Path, state: State) -> Path:
    save_file(state, folder / "net.safetensors")
    return folder / "net.safetensors"


def wrapped(state: State) -> State:
    """The names that DataParallel gives."""
    return {f"module.{key}": weight for key, weight in state.items()}


def partly_wrapped(state: State) -> State:
    """As in PyTorch's ImageNet example, which wraps all but the classifier of an AlexNet."""
    return {key.replace("stage2.", "stage2.module."): weight for key, weight in state.items()}


FORMS: dict[str, Callable[[Path, State], Path]] = {
    "safetensors": safe,
    "pth": pth,
    "before-pytorch-1.6": lambda d, s: pth(
        d, {"epoch": 90, "state_dict": s}, "net.pth.tar", _use_new_zipfile_serialization=False
    ),
    "data-parallel": lambda d, s: pth(d, {"state_dict": wrapped(s), "best_prec1": 53.2}),
    "partly-parallel": lambda d, s: pth(d, partly_wrapped(s)),
    "wheel-of-pth": lambda d, s: wheel(d, net_pth=pth(d, s).read_bytes()),
    "wheel-of-safetensors": lambda d, s: wheel(d, net_safetensors=safe(d, s).read_bytes()),
}


@pytest.mark.parametrize("write", FORMS.values(), ids=FORMS)
def test_every_form_is_read_into_all_layers_but_the_head(
    tmp_path: Path, write: Callable[[Path, State], Path]
) -> None:
    state, model = pretrained(), fresh()
    before = {k: w.clone() for k, w in model.fc.state_dict().items()}
    path = write(tmp_path, state)
    (record,) = load_backbone(model, NETWORK, str(path))
    assert equal(state, model, "fc.")
    assert all(torch.equal(w, before[k]) for k, w in model.fc.state_dict().items())
    assert (record["network"], record["source"]) == (NETWORK, path.name)
    assert (len(record["sha256"]), record["licence"]) == (64, "unknown")


class Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("import pathlib; pathlib.Path('it-ran').touch()",)


SPOILS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "code": (lambda d: pth(d, {"a": Code()}), "can be read"),
    "no-state": (lambda d: pth(d, [1, 2]), "can be read"),
    "no-tensors": (lambda d: pth(d, {"epoch": 3}), "can be read"),
    "half-a-file": (
        lambda d: half(pth(d, pretrained(), _use_new_zipfile_serialization=False)),
        "can be read",
    ),
    "half-safetensors": (lambda d: half(safe(d, pretrained())), "can be read"),
    "half-a-wheel": (lambda d: half(wheel(d, a_pth=b"x" * 99)), "no whole wheel"),
    "empty-wheel": (wheel, "0 files of weights"),
    "two-in-a-wheel": (lambda d: wheel(d, a_pth=b"", b_safetensors=b""), "2 files of weights"),
}


def half(path: Path) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


@pytest.mark.parametrize(("write", "message"), SPOILS.values(), ids=SPOILS)
def test_what_holds_no_weights_is_refused_and_nothing_in_it_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path], Path],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        read_state(write(tmp_path))
    assert not (tmp_path / "it-ran").exists()


def not_finite(state: State) -> State:
    state["conv1.0.weight"][0] = float("nan")
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (lambda: pretrained("resnet18"), "do not fit"),
        (lambda: pretrained("shufflenet_v2_x1_0"), "size mismatch"),
        (lambda: not_finite(pretrained()), "conv1.0.weight holds numbers that are not finite"),
    ],
    ids=["another-network", "another-width", "not-a-number"],
)
def test_weights_of_something_else_are_refused(
    tmp_path: Path, state: Callable[[], State], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_backbone(fresh(), NETWORK, str(safe(tmp_path, state())))


def test_each_branch_gets_its_own_weights(tmp_path: Path) -> None:
    architecture = f"{NETWORK}+mobilenet_v3_small"
    model = fresh(architecture)
    other = pretrained("mobilenet_v3_small")
    before = model.branches[0].conv1[0].weight.clone()
    (record,) = load_backbone(model, architecture, ["none", str(pth(tmp_path, other))])
    assert record["network"] == "mobilenet_v3_small"
    assert equal(other, model.branches[1], "classifier.3.")
    assert torch.equal(model.branches[0].conv1[0].weight, before)
    with pytest.raises(DataError, match="has 2 networks: give weights for each"):
        load_backbone(model, architecture, ["none", "none", "none"])


def test_a_model_of_several_networks_can_be_trained_further(tmp_path: Path) -> None:
    architecture = f"{NETWORK}+{NETWORK}"
    first, second = fresh(architecture), fresh(architecture)
    for parameter in first.parameters():
        nn.init.normal_(parameter)
    weights = str(pth(tmp_path, first.state_dict()))
    assert len(load_backbone(second, architecture, weights)) == 2
    assert equal(first.state_dict(), second, "head.")
    assert not equal(first.state_dict(), second, "nothing")


def converted(network: str) -> State:
    """A network's weights under the names that EfficientNet-Lite's converter gives."""
    state = fresh(network, 1000).state_dict()
    names = ["_conv_stem.weight", *(f"_layer.{index}" for index in range(1, len(state)))]
    return dict(zip(names, state.values(), strict=True))


PLACES = {"num_classes": 365}


@pytest.mark.parametrize(
    ("architecture", "weights", "kept"),
    [
        (NETWORK, [pretrained()], 0),
        (f"{NETWORK}+mobilenet_v3_small", [pretrained(), pretrained("mobilenet_v3_small")], 1),
        (f"{NETWORK}+{NETWORK}", [pretrained(), pretrained(**PLACES)], 0),
        (f"{NETWORK}+{NETWORK}", [pretrained(), None], 0),
        (
            f"{NETWORK}+efficientnet_lite0",
            [pretrained(**PLACES), converted("efficientnet_lite0")],
            1,
        ),
    ],
    ids=["one", "the-last", "the-one-that-knows-them", "the-one-with-weights", "converted"],
)
def test_the_classes_of_one_network_are_kept(
    tmp_path: Path, architecture: str, weights: list[State | None], kept: int
) -> None:
    files = [str(pth(tmp_path, w, f"{n}.pth")) if w else "none" for n, w in enumerate(weights)]
    model = fresh(architecture, 5 + 1000, hidden=0)
    before = model(IMAGES)[:, :5]
    load_backbone(model, architecture, files, classes=1000)
    alone = fresh(architecture.split("+")[kept], 1000)
    state = weights[kept]
    assert state is not None
    alone.load_state_dict(dict(zip(alone.state_dict(), state.values(), strict=True)))
    logits = model(IMAGES)
    torch.testing.assert_close(logits[:, 5:], alone(IMAGES))
    assert not torch.equal(logits[:, :5], before)  # other features, under the same head


@pytest.mark.parametrize(
    ("architecture", "weights", "hidden", "message"),
    [
        (NETWORK, pretrained(**PLACES), 0, "weights that tell 1000 classes apart"),
        (NETWORK, None, 0, "weights that tell 1000 classes apart"),
        (f"{NETWORK}+{NETWORK}", pretrained(), 8, "needs hidden = 0"),
    ],
    ids=["other-classes", "no-weights", "hidden-layer"],
)
def test_classes_that_cannot_be_kept_are_refused(
    tmp_path: Path, architecture: str, weights: State | None, hidden: int, message: str
) -> None:
    file = str(pth(tmp_path, weights)) if weights else "none"
    with pytest.raises(DataError, match=message):
        load_backbone(fresh(architecture, 1005, hidden), architecture, file, classes=1000)


def test_efficientnet_lite_is_read_under_its_converters_names(tmp_path: Path) -> None:
    network = "efficientnet_lite0"
    path = pth(tmp_path, converted(network))
    state = fresh(network, 1000).state_dict()
    for architecture in (network, f"{NETWORK}+{network}"):
        model = fresh(architecture)
        load_backbone(model, architecture, ["none", str(path)][-len(architecture.split("+")) :])
        assert equal(state, model.branches[1] if "+" in architecture else model, "classifier.")


def test_names_from_before_pytorch_0_4_and_training_outputs_are_understood(tmp_path: Path) -> None:
    state = pretrained("densenet121")
    old = {
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): weight
        for key, weight in state.items()
    }
    assert old.keys() != state.keys()
    model = fresh("densenet121")
    load_backbone(model, "densenet121", str(pth(tmp_path, old)))
    assert equal(state, model, "classifier.")
    model = fresh("googlenet")
    state = pretrained("googlenet", init_weights=False, aux_logits=True)
    load_backbone(model, "googlenet", str(pth(tmp_path, state)))
    assert torch.equal(model.conv1.conv.weight, state["conv1.conv.weight"])


def test_a_vision_transformer_takes_weights_of_another_input_size(tmp_path: Path) -> None:
    options = {"patch_size": 16, "num_layers": 1, "num_heads": 1, "hidden_dim": 8, "mlp_dim": 8}
    small, large = (VisionTransformer(image_size=size, **options) for size in (32, 64))
    nn.init.normal_(small.encoder.pos_embedding)
    path = pth(tmp_path, small.state_dict())
    load_backbone(large, "vit_b_16", str(path))
    position = large.encoder.pos_embedding
    assert position.shape == (1, 17, 8)
    assert torch.equal(position[:, :2], small.encoder.pos_embedding[:, :2])  # class, corner
    assert equal(small.state_dict() | {"encoder.pos_embedding": position}, large, "heads.")


def test_noncommercial_weights_need_a_word(bundle: Bundle, tmp_path: Path) -> None:
    licensed = {"weights": [{"licence": "CC-BY-NC-4.0"}]}
    config = replace(bundle.config, training=licensed)
    Bundle(config, bundle.vocabulary, bundle.model).save(tmp_path)
    weights = str(tmp_path / "weights.safetensors")
    with pytest.raises(DataError, match="--accept-noncommercial"):
        load_backbone(fresh(), NETWORK, weights)
    (record,) = load_backbone(fresh(), NETWORK, weights, accept_noncommercial=True)
    assert record["licence"] == "CC-BY-NC-4.0"
    with pytest.raises(DataError, match="--accept-noncommercial"):  # before anything is fetched
        load_backbone(fresh(), "vit_b_16", "IMAGENET1K_SWAG_E2E_V1")


def test_no_weights_leave_the_network_as_it_was() -> None:
    model = fresh()
    before = {k: w.clone() for k, w in model.state_dict().items()}
    assert load_backbone(model, NETWORK, "none") == []
    assert equal(before, model, "nothing")
    assert split_head(model)[0] == "fc"
