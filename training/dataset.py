"""TaggedImageDataset: photos to model inputs and partial labels, for PyTorch's DataLoader."""

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from hashstagram.transforms import (
    TransformConfig,
    decode_image,
    eval_transform,
    min_side,
    to_tensor,
)
from hashstagram.vocabulary import Vocabulary
from training.photoset import Photo, PhotoSet, Split

Transform = Callable[[Image.Image], Tensor]


class TaggedImageDataset(Dataset[tuple[Tensor, Tensor]]):
    """Item i is (input (3, S, S), row i of the targets).

    Args:
        photos: the photos; a path is used to read the file and for nothing else.
        targets: (photos, tags), see partial_targets.
        config: the inputs' size and normalisation.
        transform: picture to input; the evaluation transform by default.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        targets: Tensor,
        config: TransformConfig,
        transform: Transform | None = None,
    ) -> None:
        self.photos = photos
        self.targets = targets
        self.min_side = min_side(config)
        self.transform = transform or (lambda image: eval_transform(image, config))

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Decode one photo."""
        data = self.photos[index].path.read_bytes()
        return self.transform(decode_image(data, min_side=self.min_side)), self.targets[index]


def partial_targets(photos: Sequence[Photo], known: Vocabulary, vocabulary: Vocabulary) -> Tensor:
    """Targets (photos, tags): 1 for a photo's tags, 0 for other known ones, -1 for unknown ones.

    Args:
        photos: photos of one set.
        known: the tags that this set speaks about.
        vocabulary: the model's tags.
    """
    unknown = ~vocabulary.mask(known.tags)
    targets = torch.stack([vocabulary.encode(photo.tags) for photo in photos])
    return targets.masked_fill(unknown & (targets == 0), -1.0)


def training_photos(
    photosets: Sequence[PhotoSet], vocabulary: Vocabulary, splits: Sequence[Split] = ("train",)
) -> tuple[list[Photo], Tensor]:
    """All sets' photos of these splits and their targets, less those without a tag to learn."""
    photos: list[Photo] = []
    targets = []
    for photoset in photosets:
        own = photoset.split(*splits)
        photos += own
        targets.append(partial_targets(own, photoset.vocabulary, vocabulary))
    stacked = torch.cat(targets)
    tagged = (stacked == 1).any(dim=1)
    return [p for p, has in zip(photos, tagged.tolist(), strict=True) if has], stacked[tagged]


def train_transform(config: TransformConfig, scale: tuple[float, float]) -> Transform:
    """A random crop of this share of the area, mirrored half the time, in slightly other light."""
    pixels = v2.Compose(
        [
            v2.RandomResizedCrop(
                config.input_size, scale=scale, interpolation=config.resample, antialias=True
            ),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
        ]
    )
    return lambda image: to_tensor(pixels(image), config)
