"""Provenance: what a bundle says about how it came to be."""

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from training.config import TrainConfig
from training.photoset import SPLITS, PhotoSet

PACKAGES = ("torch", "torchvision", "accelerate", "numpy", "pillow")


def provenance(config: TrainConfig, photosets: Sequence[PhotoSet]) -> dict[str, Any]:
    """The resolved configuration, the data by name and size, the versions; no path of a machine."""
    return {
        "config": asdict(config) | {"weights": _without_folders(config.weights)},
        "data": {
            photoset.name: {split: len(photoset.split(split)) for split in SPLITS}
            for photoset in photosets
        },
        "versions": {package: version(package) for package in PACKAGES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "commit": _commit(),
    }


def _without_folders(weights: str | list[str]) -> str | list[str]:
    """Weights as they were asked for; of a file its name."""
    if isinstance(weights, list):
        return [str(_without_folders(one)) for one in weights]
    return weights if "://" in weights else Path(weights).name


def _commit() -> str | None:
    """The commit of the checkout that this code runs from, where it is one."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # no git on this machine
        return None
    return answer.stdout.strip() or None
