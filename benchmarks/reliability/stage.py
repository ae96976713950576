"""Stage: the front that is measured, and photos whose right answers are known."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import psutil
import requests
from PIL import Image

from serving.front import NAMES, Front
from serving.instance import ready_workers
from serving.limits import Limits
from serving.readiness import WORKERS
from serving.sample_photo import draw_sunset

ROOMY = Limits(rate=100_000, burst=100_000)  # for load that means to come from many addresses


@contextmanager
def stage(archive: Path, limits: Limits | None = None) -> Iterator[Front]:
    """A front of its own with this archive, ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="hashstagram-bench-") as folder:
        front = Front.start(archive.resolve(), Path(folder) / "serve", limits=limits)
        try:
            while any(len(ready_workers(i.describe())) < WORKERS for i in front.instances):
                time.sleep(0.5)  # the gates are open already, and the load would measure starting
            yield front
        finally:
            front.stop()


def photos() -> list[bytes]:
    """Four JPEG photos that look different."""
    picture = draw_sunset()
    turned = (picture, picture.transpose(Image.Transpose.ROTATE_180), picture.convert("L"))
    return [_jpeg(image) for image in (*turned, picture.crop((500, 300, 800, 560)))]


def _jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def right_tags(front: Front, pictures: list[bytes]) -> list[list[str]]:
    """What a quiet front answers to each photo."""
    answers = [
        requests.put(f"{front.url}/predictions/{front.model}", data=photo, timeout=60)
        for photo in pictures
    ]
    return [[hashtag["tag"] for hashtag in answer.json()["hashtags"]] for answer in answers]


def workers(front: Front) -> list[psutil.Process]:
    """The Python workers that live, of all instances."""
    found = []
    for name in NAMES:
        try:
            family = psutil.Process(front.pid(name)).children(recursive=True)
            found += [process for process in family if "model_service_worker" in _command(process)]
        except (psutil.Error, ValueError):
            continue  # being restarted
    return found


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def processes(front: Front) -> dict[str, psutil.Process]:
    """All processes of the front by name: nginx's workers, java, Python's workers."""
    found: dict[str, psutil.Process] = {}
    for name in ("nginx", "readiness", *NAMES):
        process = psutil.Process(front.pid(name))
        found[name] = process
        for number, child in enumerate(process.children(recursive=True)):
            found[f"{name}/{number}"] = child
    return found


def memory(front: Front) -> dict[str, float]:
    """Resident megabytes of each process."""
    return {name: p.memory_info().rss / 2**20 for name, p in processes(front).items()}
