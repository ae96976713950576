import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from hashstagram.transforms import TransformConfig, crop_box, eval_transform


@pytest.mark.parametrize("size", [(320, 240), (240, 320), (300, 300)], ids=str)
def test_the_centre_crop_is_torchvisions(picture: Image.Image, size: tuple[int, int]) -> None:
    image = picture.resize(size)
    config = TransformConfig(input_size=112, crop_pct=0.875)
    reference = v2.Compose(
        [
            v2.Resize(128, interpolation=v2.InterpolationMode.BILINEAR, antialias=True),
            v2.CenterCrop(112),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(config.mean, config.std),
        ]
    )(image)
    ours = eval_transform(image, config)
    assert ours.shape == reference.shape
    assert (ours - reference).abs().mean() < 0.03


def test_squash_keeps_the_whole_photo() -> None:
    config = TransformConfig(crop_mode="squash", crop_pct=1.0)
    assert crop_box(400, 300, config) == (0, 0, 400, 300)
    assert crop_box(400, 300, TransformConfig(crop_pct=1.0)) == (50, 0, 350, 300)


@pytest.mark.parametrize(
    "fields", [{"crop_mode": "zoom"}, {"interpolation": "best"}, {"crop_pct": 0.0}], ids=str
)
def test_an_impossible_config_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="crop"):
        TransformConfig(**fields)
