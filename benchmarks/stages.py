"""Where a photo's time goes: each stage's milliseconds beside the least that it could take.

Run: python -m benchmarks.stages [--bundle DIR] [--quick] [--json FILE]

In one thread, a photo at a time, each the median; so all figures compare with each other. Floors:
- transport: the body through two local sockets, as it goes from caller to server to worker;
- decode: Pillow's JPEG decoder at the scale that it is asked for, and one resize;
- inference: the network's operations at the rate of a large matrix product, or its weights once at
  the rate of a large copy, whichever takes longer;
- postprocess: the answer to JSON.
"""

import argparse
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from statistics import median
from threading import Thread

import requests
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.memory import build
from benchmarks.peers.photos import QUALITY, SIZES, draw, jpeg
from hashstagram.graph import expand
from hashstagram.predictor import Predictor
from hashstagram.recommender import Recommender
from hashstagram.transforms import crop_box, min_side
from serving.instance import ROOT, Instance

WARM = 50  # requests


@dataclass(frozen=True)
class Stage:
    """Milliseconds of one stage for one photo."""

    photo: str
    stage: str
    measured: float
    floor: float


def milliseconds(step: Callable[[], object], rounds: int) -> float:
    """The median of some rounds, after one to warm up."""
    step()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        step()
        taken.append(1000 * (time.perf_counter() - start))
    return median(taken)


def stages(
    predictor: Predictor, instance: Instance, size: tuple[int, int], floor: float, rounds: int
) -> list[Stage]:
    """The four stages of one photo.

    Args:
        predictor: what the instance's worker runs, in one thread.
        instance: a server with one worker of one thread.
        size: the photo's width, one of SIZES, and its height.
        floor: of the inference, see `inference_floor`.
        rounds: how often each is measured.
    """
    photo = jpeg(draw(*size, 0), QUALITY[size[0]])
    pixels = predictor.preprocess(photo)[None]
    scores = predictor.scores(pixels)[0]
    answer = predictor.ranking.top(scores)

    def rank() -> str:
        return json.dumps([asdict(hashtag) for hashtag in predictor.ranking.top(scores)])

    decode = milliseconds(lambda: predictor.preprocess(photo), rounds)
    inference = milliseconds(lambda: predictor.scores(pixels), rounds)
    ranking = milliseconds(rank, rounds)
    transport = milliseconds(asking(instance, photo), rounds) - decode - inference - ranking
    least_decode = milliseconds(lambda: _least_decode(predictor, photo), rounds)
    least_ranking = milliseconds(lambda: json.dumps([asdict(h) for h in answer]), rounds)
    name = f"{size[0]} × {size[1]}, {len(photo) / 1e6:.2f} MB"
    return [
        Stage(name, "transport", transport, _least_transport(photo, rounds)),
        Stage(name, "decode", decode, least_decode),
        Stage(name, "inference", inference, floor),
        Stage(name, "postprocess", ranking, least_ranking),
    ]


@contextmanager
def one_thread() -> Iterator[None]:
    """Servers that are started meanwhile compute in one thread."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
        if before:
            os.environ["OMP_NUM_THREADS"] = before


def asking(instance: Instance, photo: bytes) -> Callable[[], object]:
    """A request to the instance, on a connection that is kept."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {instance.key('inference')}"
    url = f"{instance.inference}/predictions/{instance.model}"

    def ask() -> None:
        session.post(url, data=photo, timeout=60).raise_for_status()

    for _ in range(WARM):  # Java compiles what it runs often
        ask()
    return ask


def inference_floor(bundle: Path) -> float:
    """Milliseconds that one photo's operations, or the weights' way to the core, take at least."""
    torch.set_num_threads(1)
    recommender = Recommender.from_pretrained(bundle)
    size = recommender.bundle.config.transform.input_size
    with FlopCounterMode(display=False) as counter:
        recommender.embeddings(torch.zeros(1, 3, size, size))
    weights = sum(weight.nbytes for weight in recommender.bundle.model.parameters())
    matrix = torch.rand(2048, 2048)
    product = milliseconds(lambda: matrix @ matrix, 5)
    source, target = torch.zeros(2, 1 << 26, dtype=torch.uint8)
    copied = milliseconds(lambda: target.copy_(source), 5)
    computing = float(counter.get_total_flops()) / (2 * 2048**3) * product
    return max(computing, weights / (2 * len(source)) * copied)


def _least_decode(predictor: Predictor, photo: bytes) -> Image.Image:
    transform = predictor.config.transform
    image = Image.open(BytesIO(photo))
    scale = min_side(transform) / min(image.size)
    image.draft("RGB", (round(image.width * scale), round(image.height * scale)))
    side = transform.input_size
    return image.resize((side, side), transform.resample, box=crop_box(*image.size, transform))


def _least_transport(photo: bytes, rounds: int) -> float:
    """Through one pair of sockets and another, one after the other."""

    def pass_on() -> None:
        for _ in range(2):
            near, far = socket.socketpair()
            with near, far:
                sender = Thread(target=near.sendall, args=[photo])
                sender.start()
                left = len(photo)
                while left:
                    left -= len(far.recv(min(left, 1 << 20)))
                sender.join()

    return milliseconds(pass_on, rounds)


def table(found: Sequence[Stage]) -> str:
    """In Markdown, with the sum for each photo."""
    lines = ["| photo | stage | ms | floor, ms | ratio |", "|---|---|---|---|---|"]
    for photo in dict.fromkeys(stage.photo for stage in found):
        own = [stage for stage in found if stage.photo == photo]
        measured, floor = sum(s.measured for s in own), sum(s.floor for s in own)
        for stage in [*own, Stage(photo, "**all**", measured, floor)]:
            figures = (stage.measured, stage.floor, stage.measured / stage.floor)
            cells = " | ".join(f"{figure:.2f}" for figure in figures)
            lines.append(f"| {photo} | {stage.stage} | {cells} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure each stage of an answer by its floor.")
    parser.add_argument("--bundle", type=Path, default=ROOT / "models" / "everyday")
    parser.add_argument("--quick", action="store_true", help="5 rounds each in place of 30")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    args = parser.parse_args(argv)
    found: list[Stage] = []
    with tempfile.TemporaryDirectory(prefix="hashstagram-") as made:
        folder = Path(made)
        floor = inference_floor(args.bundle)
        expand(args.bundle, folder / "expanded")
        predictor = Predictor.load(folder / "expanded")
        build(args.bundle, folder / "measured.mar")
        with one_thread():
            instance = Instance.start(folder / "measured.mar", folder / "run", timeout=300)
        try:
            for size in SIZES.values():
                rounds = 5 if args.quick else 30
                found += stages(predictor, instance, size, floor, rounds)
        finally:
            instance.stop()
    print(f"{predictor.config.name}, {predictor.engine.told}")
    print(table(found))
    if args.json:
        text = json.dumps([asdict(stage) for stage in found], indent=2)
        args.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
