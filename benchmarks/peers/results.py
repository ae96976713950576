"""Results: what was measured, as it lies in the JSON file, and the ratios that follow from it."""

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from benchmarks.peers.catalogue import PEERS


@dataclass(frozen=True)
class Start:
    """A start of a service.

    Args:
        peer: its name; likewise the model's, and the configuration, workers × threads.
        round: which round of the campaign it belongs to.
        seconds: to its first answer.
        agreement: of five tags, how many are the textbook's, on the mean.
        pss_mib: the most memory that was seen under load.
    """

    peer: str
    model: str
    configuration: str
    round: int
    seconds: float
    agreement: float
    pss_mib: float


@dataclass(frozen=True)
class Cell:
    """What one service did under one load.

    Args:
        peer: its name; likewise the model's, and the configuration.
        round: see Start.
        width: the photos', in pixels.
        connections: how many requests there are at a time.
        requests_per_s: see Load, as the rest.
    """

    peer: str
    model: str
    configuration: str
    round: int
    width: int
    connections: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    requests: int
    errors: int

    @property
    def place(self) -> "Place":
        """Where it stands in the tables."""
        return Place(self.model, self.width, self.connections)


@dataclass(frozen=True, order=True)
class Place:
    """A column of the tables: a model and a load."""

    model: str
    width: int
    connections: int


@dataclass(frozen=True)
class Pass:
    """The network alone: milliseconds a photo in batches of one size, in the engine that runs it.

    Args:
        engine: textbook or ours.
        model: its name.
        batch: photos at once.
        ms_a_photo: of all cores.
    """

    engine: str
    model: str
    batch: int
    ms_a_photo: float


@dataclass
class Results:
    """A whole campaign.

    Args:
        machine: what it ran on.
        packages: what each peer was.
        skipped: those that were left out, and why.
        starts: see Start.
        cells: see Cell.
        passes: see Pass.
    """

    machine: dict[str, str] = field(default_factory=dict)
    packages: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read what `save` wrote.

        Raises:
            OSError, ValueError, KeyError, TypeError: it is no such file.
        """
        told = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            told["machine"],
            told["packages"],
            told["skipped"],
            [Start(**start) for start in told["starts"]],
            [Cell(**cell) for cell in told["cells"]],
            [Pass(**each) for each in told["passes"]],
        )

    def best(self) -> dict[tuple[Place, str], Cell]:
        """Of each peer at each place the cell with the highest rate, whatever its configuration.

        So every peer has its better configuration everywhere, at 1 connection as at 32.
        """
        best: dict[tuple[Place, str], Cell] = {}
        for cell in self.cells:
            held = best.setdefault((cell.place, cell.peer), cell)
            if cell.requests_per_s > held.requests_per_s:
                best[cell.place, cell.peer] = cell
        return best

    def places(self) -> list[Place]:
        """In the order of the tables: models as they were measured, small loads first."""
        models = list(dict.fromkeys(cell.model for cell in self.cells))
        return sorted({cell.place for cell in self.cells}, key=lambda p: (models.index(p.model), p))

    def services(self) -> list[str]:
        """The peers that were measured, as the catalogue lists them."""
        measured = {cell.peer for cell in self.cells}
        return [name for name in PEERS if name in measured]


@dataclass(frozen=True)
class Ratio:
    """Ours beside the best of the peers at one place.

    Args:
        place: where.
        peer: the one with the highest rate.
        rate: ours as a multiple of its rate.
        p50: our median time as a share of the lowest of any peer, and `p99` likewise.
        p99: see p50.
    """

    place: Place
    peer: str
    rate: float
    p50: float
    p99: float


def ratios(results: Results, ours: str = "ours") -> list[Ratio]:
    """Of each place where there are both ours and a peer."""
    best = results.best()
    found = []
    for place in results.places():
        own = best.get((place, ours))
        peers = [
            cell for (at, name), cell in best.items() if at == place and not PEERS[name].is_ours
        ]
        if own and peers:
            fastest = max(peers, key=lambda cell: cell.requests_per_s)
            found.append(
                Ratio(
                    place,
                    fastest.peer,
                    _share(own.requests_per_s, fastest.requests_per_s),
                    _share(own.p50_ms, min(cell.p50_ms for cell in peers)),
                    _share(own.p99_ms, min(cell.p99_ms for cell in peers)),
                )
            )
    return found


def _share(one: float, other: float) -> float:
    return round(one / other, 3) if other else float("inf")


def memory(starts: Iterable[Start]) -> Mapping[tuple[str, str, str], float]:
    """MiB by peer, model and configuration: the most of all rounds."""
    most: dict[tuple[str, str, str], float] = {}
    for start in starts:
        key = (start.peer, start.model, start.configuration)
        most[key] = max(most.get(key, 0.0), start.pss_mib)
    return most


def describe_machine() -> dict[str, str]:
    """Processor, cores, and the versions that the speed depends on."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.system(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
