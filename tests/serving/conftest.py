"""A real TorchServe with the tiny bundle, on free ports, one for the whole session."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashstagram.bundle import Bundle
from serving.front import Front
from serving.instance import Instance
from serving.nginx import find_nginx
from tests.test_build_mar import build


@pytest.fixture(scope="session")
def archive(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    bundle.save(folder / "tiny")
    done = build(folder / "tiny", folder / "hashtags.mar", "hashtags", "1.0")
    assert done.returncode == 0, done.stderr
    return folder / "hashtags.mar"


@pytest.fixture(scope="session")
def served_bundle(archive: Path) -> Path:
    return archive.parent / "tiny"


@pytest.fixture(scope="session")
def instance(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    instance = Instance.start(archive, tmp_path_factory.mktemp("run") / "torchserve")
    yield instance
    instance.stop()


@pytest.fixture(scope="session")
def nginx_is_here() -> None:
    """Where there is no nginx, tests of the front are left out; CI installs it."""
    try:
        find_nginx()
    except FileNotFoundError as err:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(err))


@pytest.fixture(scope="session")
def front(
    archive: Path, tmp_path_factory: pytest.TempPathFactory, nginx_is_here: None
) -> Iterator[Front]:
    """The whole front; a test that hurts it leaves it ready again."""
    front = Front.start(archive, tmp_path_factory.mktemp("run") / "serve")
    yield front
    front.stop()
