"""Augmentation: the random changes that photos are trained with, by torchvision."""

from collections.abc import Callable
from functools import partial

from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms import v2

from hashstagram.transforms import TransformConfig, eval_transform, to_tensor
from training.config import AugmentConfig

Transform = Callable[[Image.Image], Tensor]


def train_transform(config: TransformConfig, augment: AugmentConfig) -> Transform:
    """A random crop of the photo, changed in shape and light, as the model's input.

    It draws from PyTorch's global dice.
    """
    steps: list[Callable[..., object]] = [
        v2.RandomResizedCrop(
            config.input_size, scale=augment.scale, interpolation=config.resample, antialias=True
        ),
        v2.RandomHorizontalFlip(augment.flip),
    ]
    if augment.trivial_augment:
        steps.append(v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR))
    if augment.color_jitter:
        steps.append(v2.ColorJitter(*[augment.color_jitter] * 3))
    steps.append(partial(to_tensor, config=config))
    if augment.erasing:
        steps.append(v2.RandomErasing(augment.erasing))
    transform: Transform = v2.Compose(steps)
    return transform


def view_transform(view: int, config: TransformConfig, augment: AugmentConfig) -> Transform:
    """The picture of a photo that a view of the feature cache shows.

    Args:
        view: 0 for the photo as it is served, 1 for its mirror image, more for random crops.
        config: the model's.
        augment: for the random ones.
    """
    served = partial(eval_transform, config=config)
    if view == 0:
        return served
    if view == 1:
        return v2.Compose([ImageOps.mirror, served])  # type: ignore[no-any-return]
    return train_transform(config, augment)
