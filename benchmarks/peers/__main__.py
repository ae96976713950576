"""The command: python -m benchmarks.peers [--quick] [--json FILE]; --help lists the rest.

It starts one service after the other on loopback, ends each, and writes nothing but what it is
told to and below .peers. It needs wrk, a load generator, and for each peer some packages from
PyPI, which it installs at the first use.
"""

import argparse
import logging
import signal
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.peers import passes, photos
from benchmarks.peers.answers import textbook_answers
from benchmarks.peers.campaign import Campaign, Plan
from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.peers.comparison import differences
from benchmarks.peers.models import prepare
from benchmarks.peers.plot import save_plot
from benchmarks.peers.report import markdown
from benchmarks.peers.results import Results, describe_machine
from benchmarks.peers.workshop import FOLDER, InstallError, interpreter

MODELS = ("everyday", "alexnet", "two_branch")
HEAVY = "two_branch"  # with photos of one size only, unless others are asked for
CONNECTIONS = (1, 8, 32)
USUAL = 1080
USUAL_PEERS = tuple(name for name in PEERS if name != "flask")
QUICK_MODELS = ("everyday", "alexnet")
QUICK_WIDTHS = (1080, 4032)
QUICK_CONNECTIONS = (8,)
QUICK_PEERS = ("batched", "litserve", "torchserve", "ours")

logger = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """What may be said on the command line."""
    made = argparse.ArgumentParser(description="Measure the same service in other servers.")
    made.add_argument("--quick", action="store_true", help="some peers, few loads, 5 minutes")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    made.add_argument("--models", type=_names, help="names, or NAME=BUNDLE; " + ",".join(MODELS))
    made.add_argument("--peers", type=_names, help=",".join(PEERS))
    made.add_argument("--widths", type=_numbers, help="of photos, for all models")
    made.add_argument("--connections", type=_numbers, help="default: 1,8,32")
    made.add_argument("--seconds", type=float, help="of a load; default: 2, or 5 with --quick")
    made.add_argument("--rounds", type=int, help="default: 2, or 1 with --quick")
    made.add_argument("--repeat", type=int, default=1, help="whole campaigns, which are compared")
    made.add_argument(
        "--ours",
        nargs="*",
        default=[],
        metavar="NAME=BUNDLE",
        help="what ours serves in a model's place: the same weights, optimised",
    )
    other = made.add_argument_group("of results that are there")
    other.add_argument("--report", type=Path, metavar="FILE", help="print them as Markdown")
    other.add_argument("--plot", type=Path, nargs=2, metavar=("FILE", "SVG"), help="draw them")
    other.add_argument("--compare", type=Path, nargs=2, metavar="FILE", help="by their ratios")
    return made


def _names(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _paths(pairs: Sequence[str]) -> dict[str, Path | None]:
    """NAME=PATH, or only NAME."""
    split = (pair.partition("=") for pair in pairs)
    return {name: Path(path) if path else None for name, _, path in split}


def plan_of(args: argparse.Namespace, models: Iterable[str]) -> Plan:
    """Which loads, for how long, how often."""
    widths = args.widths or (QUICK_WIDTHS if args.quick else list(photos.SIZES))
    connections = args.connections or (QUICK_CONNECTIONS if args.quick else CONNECTIONS)
    loads = {
        name: [
            (width, count)
            for width in widths
            for count in sorted(connections)
            if name != HEAVY or args.widths or width == USUAL
        ]
        for name in models
    }
    rounds, seconds = (1, 5.0) if args.quick else (2, 2.0)
    return Plan(args.rounds or rounds, args.quick, args.seconds or seconds, loads)


def interpreters(names: Iterable[str], results: Results) -> dict[Peer, Path]:
    """The Python of each peer; those that cannot be installed are left out."""
    found = {}
    for name in names:
        peer = PEERS[name]
        results.packages[name] = list(peer.packages)
        try:
            found[peer] = interpreter(peer)
        except InstallError as err:
            results.skipped[name] = f"not installed: {err}"
            logger.warning("%s: left out: not installed: %s", name, err)
    return found


def measure(args: argparse.Namespace, file: Path | None) -> Results:
    """One campaign; its file grows with it.

    Raises:
        ValueError: there is no such model, or it answers the same to every photo.
    """
    results = Results(describe_machine())
    names = _paths(args.models or (QUICK_MODELS if args.quick else MODELS))
    plan = plan_of(args, names)
    chosen = args.peers or (QUICK_PEERS if args.quick else USUAL_PEERS)
    peers = interpreters(chosen, results)
    widths = {width for loads in plan.loads.values() for width, _ in loads}
    pictures = {width: photos.save_photos(width, FOLDER / "photos") for width in sorted(widths)}
    with tempfile.TemporaryDirectory(prefix="hashstagram-peers-") as made:
        optimised = _paths(args.ours)
        models = [
            prepare(name, Path(made), bundle, optimised.get(name)) for name, bundle in names.items()
        ]
        every_photo = [path for paths in pictures.values() for path in paths]
        right = {model: textbook_answers(model, every_photo) for model in models}
        campaign = Campaign(plan, peers, right, pictures, Path(made), results)
        campaign.run(lambda: results.save(file) if file else None)
        if not args.quick:
            for model in models:
                for engine in passes.ENGINES:
                    results.passes += passes.measure(model, engine)
    if file:
        results.save(file)
    return results


def repeat(args: argparse.Namespace) -> int:
    """As many campaigns as are asked for; each after the first is compared with it."""
    first: Results | None = None
    for number in range(1, args.repeat + 1):
        file = args.json
        if file and number > 1:
            file = file.with_suffix(f".{number}{file.suffix}")
        results = measure(args, file)
        print(markdown(results))
        if first:
            print(*differences(first, results), sep="\n")
        first = first or results
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, or show what was measured."""
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended too
    if args.report:
        print(markdown(Results.load(args.report)), end="")
    elif args.plot:
        save_plot(Results.load(args.plot[0]), args.plot[1])
    elif args.compare:
        print(*differences(*map(Results.load, args.compare)), sep="\n")
    else:
        return repeat(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
