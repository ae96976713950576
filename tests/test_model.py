from pathlib import Path

import pytest
import torch
from torch import nn

from hashstagram.bundle import Bundle, BundleConfig
from hashstagram.model import (
    ModelConfig,
    create_model,
    detach_layers,
    pad_like_tensorflow,
    split_head,
)
from hashstagram.transforms import TransformConfig
from hashstagram.vocabulary import Vocabulary


@pytest.mark.parametrize(
    ("architecture", "head", "width"),
    [
        ("alexnet", "classifier.6", 4096),
        ("vgg16", "classifier.6", 4096),
        ("mobilenet_v2", "classifier.1", 1280),
        ("resnet18", "fc", 512),
        ("vit_b_16", "heads.head", 768),
    ],
)
def test_any_torchvision_network_gets_our_head(architecture: str, head: str, width: int) -> None:
    with torch.device("meta"):
        model = create_model(ModelConfig(architecture, 997))
        size = 224
        assert model(torch.empty(1, 3, size, size)).shape == (1, 997)
    name, linear = split_head(model)
    assert (name, linear.in_features, linear.out_features) == (head, width, 997)


def test_tensorflow_padding_keeps_keys_and_shapes_but_not_values() -> None:
    torch.manual_seed(0)
    plain = create_model(ModelConfig("mobilenet_v2", 4)).eval()
    padded = create_model(ModelConfig("mobilenet_v2", 4, "tensorflow")).eval()
    padded.load_state_dict(plain.state_dict())
    photo = torch.rand(1, 3, 64, 64)
    assert padded.features(photo).shape == plain.features(photo).shape
    assert not torch.equal(padded.features(photo), plain.features(photo))


@pytest.mark.parametrize(
    ("kernel", "size", "first", "last"),
    [
        (3, 8, 0, 6),  # one pixel to pad: below and on the right
        (3, 7, -1, 5),  # two: one on each side
        (5, 8, -1, 5),  # three: one before, two behind
        (5, 7, -2, 4),
    ],
)
def test_tensorflow_padding_puts_windows_where_tensorflow_does(
    kernel: int, size: int, first: int, last: int
) -> None:
    """Windows of stride 2 begin at `first` and `last`, as tf.nn.conv2d(padding="SAME") has them."""
    model = nn.Sequential(nn.Conv2d(1, 1, kernel, 2, kernel // 2, bias=False))
    nn.init.ones_(model[0].weight)
    pad_like_tensorflow(model)
    pixels = torch.eye(size)[:, None, None, :].expand(size, 1, size, size)  # a column each
    seen = model(pixels)[:, 0, 0].bool()  # (columns, windows)
    for window, start in ((0, first), (-1, last)):
        columns = {c for c in range(start, start + kernel) if 0 <= c < size}
        assert set(seen[:, window].nonzero().flatten().tolist()) == columns


@pytest.mark.parametrize(
    ("architecture", "padding"),
    [
        ("resnet999", "symmetric"),
        ("fcn_resnet50", "symmetric"),
        ("squeezenet1_1", "symmetric"),
        ("alexnet+resnet999", "symmetric"),
        ("alexnet+", "symmetric"),
        ("alexnet", "valid"),
    ],
)
def test_unknown_choices_are_refused(architecture: str, padding: str) -> None:
    with pytest.raises(ValueError, match=r"called|padding"):
        ModelConfig(architecture, 10, padding)


# One of each way to build a network, buffers and indices among the weights included.
NETWORKS = [
    "alexnet",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_lite0",
    "efficientnet_lite2",
    "googlenet",
    "mnasnet0_5",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "swin_v2_t",
    "shufflenet_v2_x0_5+mobilenet_v3_small",
]


@pytest.mark.parametrize("architecture", NETWORKS)
def test_every_network_goes_through_a_bundle(architecture: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    config = ModelConfig(architecture, 3)
    model = create_model(config)
    photos = torch.randn(2, 3, 64, 64)
    assert model(photos).shape == (2, 3)  # in training too: one output
    described = BundleConfig("net", config, TransformConfig(input_size=64))
    Bundle(described, Vocabulary(("a", "b", "c")), model).save(tmp_path)
    again = Bundle.load(tmp_path)
    assert again.config.model == config
    with torch.inference_mode():
        torch.testing.assert_close(again.model(photos), model.eval()(photos), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("config", "width", "layers"),
    [
        (ModelConfig("resnet18+alexnet", 9), 512 + 4096, 4),
        (ModelConfig("alexnet+alexnet", 9, hidden=0), 8192, 1),
        (ModelConfig("resnet18", 9, hidden=64), 512, 4),
    ],
)
def test_features_lie_side_by_side_under_layers_with_activations(
    config: ModelConfig, width: int, layers: int
) -> None:
    with torch.device("meta"):
        model = create_model(config)
    name, head = split_head(model)
    assert name == "head"
    assert isinstance(head, nn.Sequential)
    assert len(head) == layers
    assert head[0].in_features == head.in_features == width
    assert head[-1].out_features == 9
    assert any(isinstance(layer, nn.ReLU) for layer in head) == (layers > 1)


def test_the_two_branch_model_sees_objects_and_scenes() -> None:
    """VGG16's and AlexNet's 4096 features each, after the second hidden layer and its ReLU."""
    model = create_model(ModelConfig("vgg16+alexnet", 7)).eval()
    seen: list[torch.Tensor] = []
    _, head = split_head(model)
    head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    photo = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert model(photo).shape == (1, 7)
        vgg, alexnet = model.branches
        pooled = vgg.avgpool(vgg.features(photo)).flatten(1)
        objects = vgg.classifier[3](vgg.classifier[0](pooled).relu()).relu()
        pooled = alexnet.avgpool(alexnet.features(photo)).flatten(1)
        scenes = alexnet.classifier[4](alexnet.classifier[1](pooled).relu()).relu()
    torch.testing.assert_close(seen[0], torch.cat([objects, scenes], dim=1))


def test_a_vision_transformer_is_built_for_its_input_size() -> None:
    with torch.device("meta"):
        model = create_model(ModelConfig("vit_b_32", 4, image_size=384))
        assert model(torch.empty(1, 3, 384, 384)).shape == (1, 4)


@pytest.mark.parametrize(
    ("number", "parameters"),
    # Published as 4.7, 5.4 and 6.1 million.
    [(0, 4_652_008), (1, 5_416_680), (2, 6_092_072)],
)
def test_efficientnet_lite_has_its_published_size_and_its_layers(
    number: int, parameters: int
) -> None:
    with torch.device("meta"):
        model = create_model(ModelConfig(f"efficientnet_lite{number}", 1000))
    assert sum(p.numel() for p in model.parameters()) == parameters
    kinds = {type(module).__name__ for module in model.modules()}
    assert "ReLU6" in kinds
    assert not kinds & {"SiLU", "SqueezeExcitation"}


def test_the_first_layers_come_off_and_share_their_weights() -> None:
    model = create_model(ModelConfig("shufflenet_v2_x0_5", 5)).train()
    first, rest = detach_layers(model, ["conv1", "maxpool", "stage2"])
    assert model.training
    model.eval()
    images = torch.rand(2, 3, 96, 64)
    torch.testing.assert_close(rest.eval()(first(images)), model(images))
    shared = {id(parameter) for parameter in model.parameters()}
    assert {id(parameter) for parameter in rest.parameters()} < shared


@pytest.mark.parametrize("layers", [[], ["conv9"], ["stage2"], ["conv1", "stage2"]])
def test_layers_that_are_not_the_first_do_not_come_off(layers: list[str]) -> None:
    with pytest.raises(ValueError, match="layers"):
        detach_layers(create_model(ModelConfig("shufflenet_v2_x0_5", 5)), layers)
