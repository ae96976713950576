"""A real TorchServe with the tiny bundle, on free ports, one for the whole session."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from hashstagram.bundle import Bundle
from serving.front import Front
from serving.instance import Instance
from serving.nginx import find_nginx
from serving.page import Page, built
from tests.test_build_mar import build

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
]


@pytest.fixture(scope="session")
def archive(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    bundle.save(folder / "tiny")
    done = build(folder / "tiny", folder / "hashtags.mar", "hashtags", "1.0")
    assert done.returncode == 0, done.stderr
    return folder / "hashtags.mar"


@pytest.fixture(scope="session")
def slow_photo(picture: Image.Image, encode: Callable[..., bytes]) -> bytes:
    """A file that takes a worker a good part of a second."""
    return encode(picture.resize((4000, 3000)), "PNG", compress_level=1)


@pytest.fixture(scope="session")
def served_bundle(archive: Path) -> Path:
    return archive.parent / "tiny"


@pytest.fixture(scope="session")
def instance(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    instance = Instance.start(archive, tmp_path_factory.mktemp("run") / "torchserve")
    yield instance
    instance.stop()


@pytest.fixture(scope="session")
def page_is_built() -> None:
    """Where npm's registry could not be reached, tests of the page are left out."""
    if not built():
        if os.environ.get("CI"):
            raise FileNotFoundError("make web has not been run")
        pytest.skip("the page is not built: make web")


StartPage = Callable[..., Page]


@pytest.fixture(scope="session")
def start_page(
    instance: Instance, tmp_path_factory: pytest.TempPathFactory, page_is_built: None
) -> Iterator[StartPage]:
    """Another page beside the instance: start_page(feedback=None, **facts that differ)."""
    started = []

    def start(feedback: Path | None = None, **facts: str) -> Page:
        home = tmp_path_factory.mktemp("home")
        asked = replace(instance, **facts)
        (home / ".run").mkdir()
        (home / ".run" / "server.json").write_text(json.dumps(asdict(asked)))
        started.append(Page.start(asked, home, feedback=feedback))
        return started[-1]

    yield start
    for page in started:
        page.stop()


@pytest.fixture(scope="session")
def page_with_feedback(
    start_page: StartPage, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Page, Path]:
    """A page that takes feedback, and the file that it goes to."""
    file = tmp_path_factory.mktemp("feedback") / "feedback.sqlite"
    return start_page(feedback=file), file


@pytest.fixture(scope="session")
def served_page(start_page: StartPage) -> Page:
    """The page as make demo starts it."""
    return start_page()


@pytest.fixture(scope="session")
def forlorn_page(start_page: StartPage) -> Page:
    """A page whose TorchServe is away."""
    return start_page(inference="http://127.0.0.1:9")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; for a module only, since its event loop is in the way of others'."""
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            raise FileNotFoundError("chromium is not installed")
        pytest.skip("there is no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


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
    """The whole front, with the page; a test that hurts it leaves it ready again."""
    run = tmp_path_factory.mktemp("run") / "serve"
    front = Front.start(archive, run, page=built() > 0)
    yield front
    front.stop()
