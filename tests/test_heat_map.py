"""Heat maps of networks whose answer is known, of real architectures, and as pictures."""

import gc
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from hashstagram.branches import Branches
from hashstagram.heat_map import GradCam, overlay
from hashstagram.model import ModelConfig, create_model
from hashstagram.transforms import TransformConfig
from tests.conftest import ColourNetwork

QUADRANTS = {  # rows and columns of a 64 × 64 picture
    "top left": (slice(0, 32), slice(0, 32)),
    "top right": (slice(0, 32), slice(32, 64)),
    "bottom left": (slice(32, 64), slice(0, 32)),
    "bottom right": (slice(32, 64), slice(32, 64)),
}
RED, GREEN = [0], [1]


def image_of(colour: int, quadrant: str) -> Tensor:
    """Black, with a patch of one of the three colours in a quadrant: (3, 64, 64)."""
    image = torch.zeros(3, 64, 64)
    rows, columns = QUADRANTS[quadrant]
    image[(colour, rows, columns)] = 1
    return image


def share_in(heat: Tensor, quadrant: str) -> float:
    return float(heat[QUADRANTS[quadrant]].sum() / heat.sum())


@pytest.mark.parametrize("quadrant", QUADRANTS)
def test_the_map_lies_where_the_colour_is(quadrant: str) -> None:
    opposite = dict(zip(QUADRANTS, reversed(QUADRANTS), strict=True))[quadrant]
    image = image_of(0, quadrant) + image_of(1, opposite)
    maps = GradCam(ColourNetwork(), 64)(image, [RED, GREEN])
    assert maps is not None
    assert share_in(maps[0], quadrant) > 0.9
    assert share_in(maps[1], opposite) > 0.9
    assert maps.amax(dim=(1, 2)).tolist() == [1, 1]


def test_outputs_that_count_as_one_are_seen_together() -> None:
    image = image_of(0, "top left") + image_of(1, "bottom right")
    maps = GradCam(ColourNetwork(), 64)(image, [[0, 1]])
    assert maps is not None
    assert share_in(maps[0], "top left") == pytest.approx(0.5, abs=0.05)
    assert share_in(maps[0], "bottom right") == pytest.approx(0.5, abs=0.05)


def test_nothing_that_speaks_for_an_output_is_an_empty_map() -> None:
    maps = GradCam(ColourNetwork(), 64)(image_of(0, "top left"), [RED, GREEN])
    assert maps is not None
    assert maps[1].abs().max() == 0


def both(second: nn.Module, weights: Tensor) -> Branches:
    """Two networks side by side and how their features make up the logits."""
    network = Branches([ColourNetwork(), second], hidden=0, num_classes=len(weights)).eval()
    network.head[0].weight = nn.Parameter(weights)
    return network


def test_of_two_networks_the_one_that_decides_is_shown() -> None:
    # The first output is the first network's red, the second the other's green, the third both.
    weights = torch.tensor([[1.0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0]])
    coarse = ColourNetwork(cell=16)
    image = image_of(0, "top left") + image_of(1, "bottom right")
    maps = GradCam(both(coarse, weights), 64)(image, [[0], [1], [2]])
    assert maps is not None
    assert share_in(maps[0], "top left") > 0.9
    assert share_in(maps[1], "bottom right") > 0.8
    assert share_in(maps[2], "top left") == pytest.approx(0.5, abs=0.1)


def transformer() -> VisionTransformer:
    sizes = {"image_size": 64, "patch_size": 16, "hidden_dim": 4, "mlp_dim": 4}
    return VisionTransformer(num_layers=1, num_heads=1, num_classes=3, **sizes).eval()


def test_a_transformer_has_no_map_and_takes_none_from_the_network_beside_it() -> None:
    image = image_of(0, "top right")
    assert GradCam(transformer(), 64)(image, [RED, GREEN]) is None
    weights = torch.tensor([[1.0, 0, 0, 0.1, 0.1, 0.1, 0.1], [0, 1, 0, 0.1, 0.1, 0.1, 0.1]])
    maps = GradCam(both(transformer(), weights), 64)(image, [RED, GREEN])
    assert maps is not None
    assert share_in(maps[0], "top right") > 0.9


@pytest.mark.parametrize(
    ("architecture", "size"),
    [
        ("convnext_tiny", 64),
        ("densenet121", 64),
        ("efficientnet_lite0", 64),
        ("googlenet", 64),
        ("inception_v3", 107),
        ("mobilenet_v3_small", 64),
        ("regnet_y_400mf", 64),
        ("resnet18", 64),
        ("resnet18+mobilenet_v3_small", 64),
    ],
)
def test_each_architecture_explains_several_tags_as_it_does_each_alone(
    architecture: str, size: int
) -> None:
    torch.manual_seed(3)
    grad_cam = GradCam(create_model(ModelConfig(architecture, 6, hidden=0)).eval(), size)
    image = torch.randn(3, size, size)
    together = grad_cam(image, [[0], [1], [2, 3]])
    assert together is not None
    assert together.shape == (3, size, size)
    for outputs, heat in zip(([0], [1], [2, 3]), together, strict=True):
        alone = grad_cam(image, [outputs])
        assert alone is not None
        torch.testing.assert_close(heat, alone[0], atol=1e-3, rtol=1e-3)
    assert (together.amax(dim=(1, 2)) == 1).any()


def test_the_model_is_left_as_it_was_and_nothing_piles_up() -> None:
    model = ColourNetwork()
    grad_cam = GradCam(model, 64)
    image = image_of(0, "top left")

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())

    grad_cam(image, [RED, GREEN])
    before = tensors()
    for _ in range(5):
        grad_cam(image, [RED, GREEN])
    assert tensors() == before
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(
        module._forward_hooks for module in (*model.modules(), *grad_cam.network.modules())
    )
    assert not any(twin.requires_grad for twin in grad_cam.network.parameters())
    shared = zip(model.parameters(), grad_cam.network.parameters(), strict=True)
    assert all(own.data_ptr() == twin.data_ptr() for own, twin in shared)


def alpha(png: bytes) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    return np.asarray(Image.open(BytesIO(png)).convert("RGBA"))[:, :, 3]


def test_an_overlay_has_the_photos_proportions_and_is_clear_where_the_map_is_zero() -> None:
    heat = torch.zeros(64, 64)
    heat[QUADRANTS["bottom left"]] = 1
    opaque = alpha(overlay(heat, (2000, 1000), TransformConfig(64, "squash", crop_pct=1.0)))
    assert opaque.shape == (64, 128)
    assert opaque[40:, :56].min() > 100
    assert opaque[:24].max() == opaque[:, 72:].max() == 0


def test_an_overlay_of_a_crop_leaves_the_rest_of_the_photo_clear() -> None:
    config = TransformConfig(64, "center", crop_pct=0.5)
    opaque = alpha(overlay(torch.ones(64, 64), (1000, 2000), config))
    assert opaque.shape == (128, 64)
    seen = np.zeros((128, 64), bool)
    seen[48:80, 16:48] = True  # half of the shorter side, in the middle
    assert opaque[seen].min() > 100
    assert opaque[~seen].max() == 0


def test_an_overlay_of_a_strip_still_is_a_picture() -> None:
    png = overlay(torch.ones(64, 64), (20_000, 1), TransformConfig(64, "center", crop_pct=0.1))
    assert Image.open(BytesIO(png)).size == (128, 1)
