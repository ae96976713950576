"""Models: the bundles that are served, by name, each with the archive that TorchServe takes."""

import logging
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory import build
from benchmarks.random_bundle import random_bundle
from serving.instance import ROOT

ARCHITECTURES = {"alexnet": "alexnet", "two_branch": "vgg16+alexnet"}  # with random weights

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """A model.

    Args:
        name: in tables.
        bundle: its directory, for the textbook.
        served: the one that ours serves; mostly the same.
        archive: that one packed; the stem is the model's name in its URL.
    """

    name: str
    bundle: Path
    served: Path
    archive: Path


def prepare(name: str, folder: Path, given: Path | None, optimised: Path | None) -> Model:
    """A model with its archive.

    Args:
        name: everyday, one of ARCHITECTURES, or any with a bundle that is given.
        folder: where what is made goes.
        given: its bundle.
        optimised: another bundle with the same weights, which ours serves in its place.

    Raises:
        ValueError: there is no such model.
    """
    logger.info("%s: making the archive", name)
    if given:
        bundle = given.resolve()
    elif name in ARCHITECTURES:
        bundle = random_bundle(ARCHITECTURES[name], folder / name)
    elif (ROOT / "models" / name).is_dir():
        bundle = ROOT / "models" / name
    else:
        raise ValueError(f"no model is called {name!r}; give its bundle as {name}=DIRECTORY")
    archive = folder / f"{name}-store" / "hashtags.mar"
    archive.parent.mkdir()
    served = optimised.resolve() if optimised else bundle
    build(served, archive)
    return Model(name, bundle, served, archive)
