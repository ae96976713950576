"""Fixtures: tiny real things, drawn and initialised in a second."""

import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn

from benchmarks.hostile_files import Sample, hostile
from hashstagram.bundle import Bundle, BundleConfig
from hashstagram.model import ModelConfig, create_model
from hashstagram.silent import openvino
from hashstagram.transforms import TransformConfig
from hashstagram.vocabulary import Vocabulary

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
TAGS = ("sunset", "beach", "dog", "snow", "street", "food", "flower", "dress", "sky", "night")

torch.set_num_threads(1)  # tiny models; more threads only wait for each other

WORKERS: list[Any] = []  # the processes of `pytest -n`


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: Any) -> None:
    WORKERS.append(node)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """After Ctrl-C the workers stop their servers, for which xdist gives them ten seconds."""
    for worker in WORKERS:
        worker.shutdown()
        with suppress(worker.channel.RemoteError, worker.channel.TimeoutError, EOFError):
            worker.channel.waitclose(60)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of tests with one name xdist would run the first only, without a word."""
    names = Counter(item.nodeid for item in items)
    if twice := [name for name, count in names.items() if count > 1]:
        raise pytest.UsageError(f"several tests are called {', '.join(twice)}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The photo sets and weights that are not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip("the photo sets in ../shared are not here")
    return SHARED


class ColourNetwork(nn.Module):
    """A network without training whose logits are how much red, green and blue is in a photo."""

    def __init__(self, cell: int = 8) -> None:
        super().__init__()
        purify = nn.Conv2d(3, 3, 1, bias=False)  # a colour is what the other two are not
        purify.weight = nn.Parameter((2 * torch.eye(3) - 1).reshape(3, 3, 1, 1))
        pool = nn.Conv2d(3, 3, cell, stride=cell, groups=3, bias=False)
        pool.weight = nn.Parameter(torch.full((3, 1, cell, cell), 10 / cell**2))
        self.features = nn.Sequential(purify, nn.ReLU(), pool)
        self.fc = nn.Linear(3, 3, bias=False)
        self.fc.weight = nn.Parameter(torch.eye(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.features(images).mean(dim=(2, 3)))
        return logits


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """A small network with random weights and ten tags."""
    torch.manual_seed(7)
    config = ModelConfig("shufflenet_v2_x0_5", len(TAGS))
    model = create_model(config).eval()
    with torch.no_grad():  # spread the logits, so that the order of the tags is never a tie
        model.fc.weight.mul_(20)
    transform = TransformConfig(input_size=64, crop_mode="squash", crop_pct=1.0)
    return Bundle(BundleConfig("tiny", config, transform), Vocabulary(TAGS), model)


@pytest.fixture(scope="session")
def hostile_files() -> list[Sample]:
    """All of them, made once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about formats that will go
        return hostile()


@pytest.fixture
def bundle_dir(bundle: Bundle, tmp_path: Path) -> Path:
    """The small bundle in a folder that the test may spoil."""
    bundle.save(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    """A colourful picture that looks different from each side."""
    image = Image.new("RGB", (320, 240), "navy")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 150, 320, 240), fill="sandybrown")
    draw.ellipse((30, 20, 120, 110), fill="gold")
    draw.polygon([(200, 150), (310, 150), (250, 30)], fill="seagreen")
    return image


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Picture to file bytes: encode(image, "PNG", **options)."""

    def encode(image: Image.Image, fmt: str = "JPEG", **options: object) -> bytes:
        buffer = BytesIO()
        image.save(buffer, format=fmt, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def jpeg(picture: Image.Image, encode: Callable[..., bytes]) -> bytes:
    """The picture as a JPEG file's bytes."""
    return encode(picture, quality=92)


COLOURS = {
    "sky": (90, 160, 235),
    "grass": (60, 160, 70),
    "sunset": (240, 120, 50),
    "night": (20, 22, 50),
}


@pytest.fixture(scope="session")
def harrison_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 little photos in HARRISON's format: a colour and its tag, half of them "photo" too."""
    root = tmp_path_factory.mktemp("sets") / "colours"
    root.mkdir()
    dice = torch.Generator().manual_seed(1)
    paths, tags = [], []
    for number in range(160):
        tag, colour = list(COLOURS.items())[number % 4]
        noise = torch.randint(-25, 26, (48, 48, 3), generator=dice)
        pixels = (torch.tensor(colour) + noise).clamp(0, 255).byte().numpy()
        name = f"{number:03}.jpg"
        Image.fromarray(pixels).save(root / name)
        paths.append(f"colours/{name}\n")
        tags.append(f"{tag} photo \n" if number % 8 < 4 else f"{tag} \n")
    (root / "data_list.txt").write_text("".join(paths))
    (root / "tag_list.txt").write_text("".join(tags))
    names = ["photo", *COLOURS]
    (root / "vocab_index.txt").write_text("".join(f"{n:<20}{i}\n" for i, n in enumerate(names)))
    return root


class Downloads(ThreadingHTTPServer):
    """A web server for the files of a folder; /cut/NAME breaks off in the middle of NAME."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(DownloadHandler, directory=str(folder)))
        self.folder = folder
        self.asked: list[str] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class DownloadHandler(SimpleHTTPRequestHandler):
    server: Downloads

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if not self.path.startswith("/cut/"):
            super().do_GET()
            return
        data = (self.server.folder / self.path.removeprefix("/cut/")).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Downloads]:
    """A running server, and an empty cache for what is fetched."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "www").mkdir()
    with Downloads(tmp_path / "www") as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def read_json(path: Path) -> object:
    """A JSON file's content."""
    return json.loads(path.read_text(encoding="utf-8"))


def has_bfloat16() -> bool:
    """Whether OpenVINO computes in bfloat16 here, so that scores are rounded to eight bits."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def clean_environment() -> dict[str, str]:
    """The environment without this machine's own settings for us."""
    return {name: value for name, value in os.environ.items() if "HASHSTAGRAM" not in name}
