import pytest
import torch

from hashstagram.model import ModelConfig, create_model, split_head


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


def test_tensorflow_padding_pads_right_and_bottom_only() -> None:
    model = create_model(ModelConfig("mobilenet_v2", 4, "tensorflow")).eval()
    first = model.features[0][0]
    torch.nn.init.ones_(first.weight)
    corner = torch.zeros(1, 3, 8, 8)
    corner[0, 0, 0, 0] = 1.0
    # The first window starts at the first pixel; with symmetric padding it would start before.
    assert first(corner)[0, 0, 0, 0] == 1.0
    corner = corner.flip(2, 3)
    assert first(corner)[0, 0, -1, -1] == 1.0
    assert first(corner)[0, 0].count_nonzero() == 1


@pytest.mark.parametrize(
    ("architecture", "padding"),
    [("resnet999", "symmetric"), ("fcn_resnet50", "symmetric"), ("alexnet", "valid")],
)
def test_unknown_choices_are_refused(architecture: str, padding: str) -> None:
    with pytest.raises(ValueError, match=r"called|padding"):
        ModelConfig(architecture, 10, padding)
