"""What the handler's metrics cost: requests a second with and without them, in turns.

Run: python -m benchmarks.metrics [--archive MAR] [--rounds N]
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path

from hashstagram_client import HashtagClient
from serving.instance import Instance
from serving.sample_photo import save_sunset
from serving.server import ARCHIVE

# A metrics file with none of ours; TorchServe wants at least one.
_NONE = "model_metrics: {counter: [{name: none, unit: Count, dimensions: []}]}\n"


def requests_per_second(instance: Instance, photo: bytes, requests: int, clients: int) -> float:
    """How many predictions an instance answers to so many clients at once."""
    with (
        HashtagClient(instance.inference, instance.key("inference")) as client,
        ThreadPoolExecutor(clients) as pool,
    ):
        start = time.perf_counter()
        list(pool.map(client.recommend, repeat(photo, requests)))
        return requests / (time.perf_counter() - start)


def main(argv: Sequence[str] | None = None) -> int:
    """Print both medians and their ratio."""
    parser = argparse.ArgumentParser(description="Requests a second with and without metrics.")
    parser.add_argument("--archive", type=Path, default=ARCHIVE, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=400, help="in each round")
    parser.add_argument("--clients", type=int, default=8)
    args = parser.parse_args(argv)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        photo = save_sunset(folder / "photo.jpg").read_bytes()
        (folder / "none.yaml").write_text(_NONE, encoding="utf-8")
        settings = {"with": {}, "without": {"metrics_config": str(folder / "none.yaml")}}
        instances = {}
        for name, over in settings.items():
            instances[name] = Instance.start(args.archive.resolve(), folder / name, settings=over)
            stack.callback(instances[name].stop)
        rates: dict[str, list[float]] = {name: [] for name in instances}
        for _ in range(args.rounds + 1):
            for name, instance in instances.items():
                rate = requests_per_second(instance, photo, args.requests, args.clients)
                rates[name].append(rate)
    medians = {name: statistics.median(measured[1:]) for name, measured in rates.items()}
    for name, median in medians.items():
        print(f"{name} metrics: {median:.0f} requests/s")
    print(f"ratio: {medians['with'] / medians['without']:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
