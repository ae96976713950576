import pickle

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from hashstagram.transforms import TransformConfig, eval_transform
from training.augment import train_transform, view_transform
from training.config import AugmentConfig
from training.dataset import TaggedImageDataset
from training.prepare import open_photoset
from training.seed import seed_of, seeded

CONFIG = TransformConfig(input_size=48)
PLAIN = AugmentConfig(scale=(1.0, 1.0), flip=0.0, color_jitter=0.0)


@pytest.mark.parametrize(
    "augment",
    [
        AugmentConfig(),
        AugmentConfig(flip=1.0),
        AugmentConfig(trivial_augment=True, color_jitter=0.0),
        AugmentConfig(erasing=1.0),
    ],
    ids=["default", "flip", "trivial", "erasing"],
)
def test_one_seed_is_one_picture(picture: Image.Image, augment: AugmentConfig) -> None:
    transform = pickle.loads(pickle.dumps(train_transform(CONFIG, augment)))  # as workers get it
    pictures = []
    for number in (1, 2, 1):
        with seeded(5, number):
            pictures.append(transform(picture))
    assert pictures[0].shape == (3, 48, 48)
    assert pictures[0].equal(pictures[2])
    assert not pictures[0].equal(pictures[1])


def test_erasing_blanks_a_part(picture: Image.Image) -> None:
    with seeded(1):
        whole = train_transform(CONFIG, PLAIN)(picture)
    with seeded(1):
        erased = train_transform(CONFIG, AugmentConfig((1.0, 1.0), 0.0, 0.0, False, 1.0))(picture)
    blank = (erased == 0).all(dim=0)
    assert 0.01 < blank.float().mean() < 0.4
    assert erased[:, ~blank].equal(whole[:, ~blank])


def test_the_first_views_are_the_served_picture_and_its_mirror_image(picture: Image.Image) -> None:
    served = eval_transform(picture, CONFIG)
    assert view_transform(0, CONFIG, PLAIN)(picture).equal(served)
    mirrored = view_transform(1, CONFIG, PLAIN)(picture).flip(2)
    assert (mirrored - served).abs().mean() < 0.02
    assert not view_transform(2, CONFIG, AugmentConfig())(picture).equal(served)


@pytest.mark.parametrize("workers", [0, 1])
def test_neither_workers_nor_order_change_a_photo(harrison_root: object, workers: int) -> None:
    photos = open_photoset(harrison_root).photos[:12]  # type: ignore[arg-type]
    transform = train_transform(CONFIG, AugmentConfig())
    dataset = TaggedImageDataset(photos, torch.zeros(12, 0), CONFIG, transform, dice=(3, 1))
    one_by_one = torch.stack([dataset[index][0] for index in range(12)])
    backwards = [[11, 10, 9, 8, 7], [6, 5, 4, 3], [2, 1, 0]]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    loader = DataLoader(
        dataset, batch_sampler=backwards, num_workers=workers, generator=torch.Generator()
    )
    loaded = torch.cat([images for images, _ in loader]).flip(0)
    assert loaded.equal(one_by_one)
    assert torch.get_rng_state().equal(before)
    other_epoch = TaggedImageDataset(photos, torch.zeros(12, 0), CONFIG, transform, dice=(3, 2))
    assert not other_epoch[0][0].equal(one_by_one[0])


def test_seeds_of_different_places_differ() -> None:
    places = [(seed, epoch, photo) for seed in (0, 1) for epoch in (0, 1) for photo in range(50)]
    assert len({seed_of(*place) for place in places}) == len(places)
