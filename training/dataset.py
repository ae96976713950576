"""TaggedImageDataset: photos to model inputs and partial labels, for PyTorch's DataLoader."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hashstagram.decode import decode_image
from hashstagram.transforms import TransformConfig, eval_transform, min_side
from hashstagram.vocabulary import Vocabulary
from training.augment import Transform
from training.photoset import Photo, PhotoSet, Split
from training.seed import seed_of, seeded

# What a target says where it is not from 0 to 1.
UNKNOWN = -1.0  # the photo's set does not speak about the tag
UNSURE = -2.0  # the set does, but not about this photo: it may show the tag


class TaggedImageDataset(Dataset[tuple[Tensor, Tensor]]):
    """Item i is (input (3, S, S), row i of the targets).

    Args:
        photos: the photos; a path is used to read the file and for nothing else.
        targets: (photos, tags), see partial_targets.
        config: the inputs' size and normalisation.
        transform: picture to input; the evaluation transform by default.
        dice: where this pass over the photos starts its random choices, see training.seed.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        targets: Tensor,
        config: TransformConfig,
        transform: Transform | None = None,
        *,
        dice: tuple[int, ...] = (0,),
    ) -> None:
        self.photos = photos
        self.targets = targets
        self.min_side = min_side(config)
        self.transform = transform or partial(eval_transform, config=config)
        self.dice = dice

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Decode one photo."""
        image = decode_image(self.photos[index].path.read_bytes(), min_side=self.min_side)
        with seeded(*self.dice, index):
            return self.transform(image), self.targets[index]


class CachedDataset(Dataset[tuple[Tensor, Tensor]]):
    """Item i is (features of photo i, row i of the targets), of a view that is drawn.

    Args:
        features: (views, photos, …), in half precision; see training.features.
        targets: (photos, tags), see partial_targets.
        dice: where this pass over the photos starts its random choices, see training.seed.
    """

    def __init__(
        self, features: npt.NDArray[np.float16], targets: Tensor, *, dice: tuple[int, ...]
    ) -> None:
        self.features = features
        self.targets = targets
        self.dice = dice

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Read one photo's features, in single precision."""
        view = seed_of(*self.dice, index) % len(self.features)
        return torch.from_numpy(self.features[view, index].astype(np.float32)), self.targets[index]


def partial_targets(photos: Sequence[Photo], known: Vocabulary, vocabulary: Vocabulary) -> Tensor:
    """Targets (photos, tags): 1 for a photo's tags, 0 for other known ones; UNKNOWN, UNSURE.

    They are in half precision: large sets have many.

    Args:
        photos: photos of one set.
        known: the tags that this set speaks about.
        vocabulary: the model's tags.
    """
    blank = torch.where(vocabulary.mask(known.tags), 0.0, UNKNOWN).half()
    targets = blank.repeat(len(photos), 1)
    for target, photo in zip(targets, photos, strict=True):
        for tags, value in ((photo.unsure, UNSURE), (photo.tags, 1.0)):
            target[[vocabulary.index[tag] for tag in tags if tag in vocabulary.index]] = value
    return targets


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
