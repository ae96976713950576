"""What an NVIDIA GPU is good for: a longer training, and serving with photos decoded on it or not.

Run: python -m benchmarks.gpu --data ROOT [--data ROOT ...] [--config FILE] [--json FILE]

Under eight minutes, most of which is training, with all layers free and nothing cached. Then
batches of photos of 1080 pixels become hashtags: decoded on the CPU in all cores, or on the GPU.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import v2

from benchmarks.peers.photos import save_photos
from hashstagram.precision import choose_precision
from hashstagram.recommender import Recommender
from hashstagram.transforms import crop_box, normalised
from serving.instance import ROOT
from training.allocator import keep_freed_memory
from training.config import TrainConfig
from training.evaluate import evaluate
from training.finetune import train_one_epoch
from training.photoset import PhotoSet
from training.prepare import open_photoset
from training.progress import set_up_logging
from training.run import create_accelerator, create_run
from training.spelling import settled
from training.termination import Terminated
from training.train import train

CONFIG = ROOT / "training" / "configs" / "everyday.toml"
BATCHES = (1, 2, 4, 8, 16, 32, 64)
WIDTH = 1080
TRAINING = 200  # seconds of epochs, where nobody says how many
TRIAL = 15  # seconds of steps that tell how long an epoch takes
BETWEEN = 8  # seconds of validation an epoch
KEPT = 200  # photos of each set that the model is measured on
COMPARED = 256  # photos that are decoded both ways

Decoder = Callable[[Sequence[bytes]], torch.Tensor]


@dataclass(frozen=True)
class Row:
    """Batches of a size from bytes to hashtags: photos a second, and milliseconds a batch."""

    decoded: str
    batch: int
    photos_per_s: float
    p50_ms: float
    p99_ms: float


def unbound(config: TrainConfig, epochs: int, precision: Any) -> TrainConfig:
    """The recipe without what spares a CPU: all layers learn, from new pictures in each epoch."""
    stage = replace(config.finetune, epochs=epochs, mixed_precision=precision, views=0, frozen=())
    return replace(config, finetune=stage)


def epoch_seconds(
    config: TrainConfig, photosets: Sequence[PhotoSet], folder: Path, workers: int, seconds: float
) -> float:
    """How long an epoch of stage two takes, by the later half of some seconds of it."""
    # Classes and words need targets that are made elsewhere, and take no time.
    plain = replace(config, loss=replace(config.loss, keep_classes=0.0, describe=0.0))
    accelerator = create_accelerator(plain)
    run = create_run(plain, accelerator, settled(photosets), "none", folder, workers)
    model, stage = accelerator.prepare_model(run.state.model), plain.finetune
    ticks = [time.monotonic()]

    def enough() -> bool:
        ticks.append(time.monotonic())
        return ticks[-1] - ticks[0] > seconds

    with suppress(Terminated):
        train_one_epoch(run, model, stage.micro_batch_size or stage.batch_size, None, enough)
    warm = ticks[(len(ticks) - 1) // 2 :]
    return (warm[-1] - warm[0]) / (len(warm) - 1) * stage.steps(len(run.mix))


def held_out(config: TrainConfig, photosets: Sequence[PhotoSet]) -> list[PhotoSet]:
    """Some test photos of each set; validation photos where those are trained on."""
    kept = [p.only("val" if "test" in config.train_splits else "test") for p in photosets]
    return [replace(p, photos=p.photos[:: len(p.photos) // (KEPT + 1) + 1]) for p in kept]


def decode_on_cpu(recommender: Recommender, pool: ThreadPoolExecutor) -> Decoder:
    """As we serve: Pillow, at a fraction of the size, in threads."""
    return lambda photos: torch.stack(list(pool.map(recommender.preprocess, photos)))


def decode_with_torchvision(recommender: Recommender) -> Decoder:
    """JPEG files whole, EXIF's orientation unseen, on the recommender's device."""
    config = recommender.bundle.config.transform
    size = [config.input_size, config.input_size]
    mode = v2.InterpolationMode(config.interpolation)

    def decode(photos: Sequence[bytes]) -> torch.Tensor:
        files = [torch.frombuffer(bytearray(photo), dtype=torch.uint8) for photo in photos]
        inputs = []
        for whole in decode_jpeg(files, ImageReadMode.RGB, recommender.device):
            left, top, right, bottom = map(round, crop_box(whole.shape[2], whole.shape[1], config))
            part = whole[:, top:bottom, left:right]
            inputs.append(v2.functional.resize(part, size, mode, antialias=True))
        return normalised(torch.stack(inputs).movedim(1, -1), config)

    return decode


def sweep(
    recommender: Recommender,
    decoders: Mapping[str, Decoder],
    photos: Sequence[bytes],
    batches: Sequence[int] = BATCHES,
    seconds: float = 2,
) -> Iterator[Row]:
    """A row for each size and way of decoding, after two batches to warm up."""
    for batch in batches:
        for decoded, decode in decoders.items():
            supply, taken = cycle(photos), list[float]()
            while sum(taken[2:]) < seconds:
                asked = list(islice(supply, batch))
                started = time.perf_counter()
                hashtags(recommender, decode(asked))
                taken.append(time.perf_counter() - started)
            times = torch.tensor(taken[2:], dtype=torch.double)
            p50, p99 = (1000 * times.quantile(times.new_tensor([0.5, 0.99]))).tolist()
            yield Row(decoded, batch, batch * len(times) / float(times.sum()), p50, p99)


def hashtags(recommender: Recommender, inputs: torch.Tensor) -> list[set[str]]:
    """The five of each photo."""
    scores = recommender.scores(inputs)
    return [{hashtag.tag for hashtag in recommender.ranking.top(row)} for row in scores]


def overlap(recommender: Recommender, ways: Sequence[Decoder], photos: Sequence[bytes]) -> float:
    """The share of a photo's five hashtags that two ways of decoding have in common."""
    pairs = [
        pair
        for first in range(0, len(photos), BATCHES[-1])
        for batch in [photos[first : first + BATCHES[-1]]]
        for pair in zip(*(hashtags(recommender, way(batch)) for way in ways), strict=True)
    ]
    return sum(len(one & other) / len(one) for one, other in pairs) / len(pairs)


def decodes(decode: Decoder, photo: bytes) -> bool:
    """Whether it can: some build of torchvision, or decoder, does not know some photo."""
    try:
        decode([photo])
    except RuntimeError as err:
        print(f"not decoded: {err}", file=sys.stderr)
        return False
    return True


def serve(recommender: Recommender, photosets: Sequence[PhotoSet], cores: int) -> dict[str, Any]:
    """The rows, which are printed, and the overlap, as far as torchvision can decode photos."""
    paths = [photo.path for photoset in photosets for photo in photoset.photos]
    files = [path.read_bytes() for path in paths[:: len(paths) // COMPARED + 1]]
    with tempfile.TemporaryDirectory() as drawn, ThreadPoolExecutor(cores) as pool:
        photos = [path.read_bytes() for path in save_photos(WIDTH, Path(drawn))]
        decoders = {"CPU": decode_on_cpu(recommender, pool)}
        same, on_gpu = None, decode_with_torchvision(recommender)
        if decodes(on_gpu, photos[0]):
            decoders["GPU"] = on_gpu
            files = [file for file in files if decodes(on_gpu, file)] or photos
            same = overlap(recommender, [*decoders.values()], files)
            print(f"both ways of decoding have {100 * same:.1f} % of the hashtags in common")
        print("| decoded | batch | photos/s | p50, ms | p99, ms |\n|---|--:|--:|--:|--:|")
        rows = []
        for row in sweep(recommender, decoders, photos):
            speed = f"{row.photos_per_s:.0f} | {row.p50_ms:.1f} | {row.p99_ms:.1f}"
            print(f"| {row.decoded} | {row.batch} | {speed} |", flush=True)
            rows.append(asdict(row))
    return {"precision": str(recommender.precision), "overlap": same, "rows": rows}


def main(argv: Sequence[str] | None = None) -> int:
    """Train, evaluate and serve; exit 1 with one line where there is no GPU."""
    parser = argparse.ArgumentParser(description="Train and serve on an NVIDIA GPU.")
    parser.add_argument("--data", type=Path, required=True, action="append", metavar="ROOT")
    parser.add_argument("--config", type=Path, default=CONFIG, help="default: %(default)s")
    parser.add_argument("--weights", nargs="+", help="as in training.train")
    parser.add_argument("--epochs", type=int, help=f"default: what fits into {TRAINING} seconds")
    parser.add_argument("--out", type=Path, metavar="RUN", help="keep the run's folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    args = parser.parse_args(argv)
    if not torch.cuda.is_available():
        print("this needs an NVIDIA GPU, and PyTorch sees none", file=sys.stderr)
        return 1
    set_up_logging()
    keep_freed_memory()
    cores, config = len(os.sched_getaffinity(0)), TrainConfig.load(args.config)
    precision = "bf16" if choose_precision("auto", "cuda") == torch.bfloat16 else "fp16"
    photosets = [open_photoset(root) for root in args.data]
    with tempfile.TemporaryDirectory(prefix="hashstagram-") as made:
        config = unbound(config, args.epochs or 1, precision)
        if not args.epochs:
            taken = epoch_seconds(config, photosets, Path(made, "trial"), cores, TRIAL)
            config = unbound(config, max(1, int(TRAINING / (taken + BETWEEN))), precision)
        out, started = args.out or Path(made, "run"), time.monotonic()
        train(config, photosets, args.weights or config.weights, out)
        seconds, kept = round(time.monotonic() - started), held_out(config, photosets)
        print(f"{torch.cuda.get_device_name()}: {config.finetune.epochs} epochs in {seconds} s")
        recommender = Recommender.from_pretrained(out, device="cuda", precision="auto")
        sets = evaluate(recommender, kept)
        for name, report in sets.items():
            print(f"{name}: P@1 {report['precision_at_1']:.1f}  R@5 {report['recall_at_5']:.1f}")
        figures = {
            "gpu": torch.cuda.get_device_name(),
            "training": {"epochs": config.finetune.epochs, "seconds": seconds, "sets": sets},
            "serving": serve(recommender, kept, cores),
        }
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
