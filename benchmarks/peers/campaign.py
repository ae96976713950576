"""Campaign: which service is measured when, and under which load."""

import logging
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers import wrk
from benchmarks.peers.answers import Answers, check
from benchmarks.peers.catalogue import CONFIGURATIONS, Peer
from benchmarks.peers.models import Model
from benchmarks.peers.results import Cell, Results, Start
from benchmarks.peers.service import Service, ServiceError
from benchmarks.peers.setting import Setting
from serving.instance import free_port

MEBIBYTE = 2**20
PORTS = range(20_000, 32_768)  # no outgoing connection takes one of these
WARM_UP = (8, 2.0)  # connections and seconds
LONGEST = 15.0  # seconds of one load
TURNS = 2.5  # answers that each connection gets at least, as long as that is not too long

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Args:
        rounds: in each, every service is started once for each model, one after the other, so
            that a machine that slows down does so for all.
        quick: each peer in its quick configuration, not in all of CONFIGURATIONS by turns.
        seconds: of one load, at least; see `duration`.
        loads: of each model, pairs of the photos' width and the connections, with those of one
            width side by side and the connections rising.
    """

    rounds: int
    quick: bool
    seconds: float
    loads: Mapping[str, Sequence[tuple[int, int]]]

    def configuration(self, peer: Peer, number: int) -> tuple[int, int]:
        """Workers and threads of a peer in a round."""
        return peer.quick if self.quick else CONFIGURATIONS[number % len(CONFIGURATIONS)]

    def duration(self, connections: int, rate: float) -> float:
        """Seconds of a load, by the rate that fewer connections had.

        A server that takes seconds for its 32 callers would not answer each of them once.
        """
        return min(LONGEST, max(self.seconds, TURNS * connections / rate if rate else 0))


@dataclass(frozen=True)
class Campaign:
    """Everything that is measured, and where it goes.

    Args:
        plan: how much.
        peers: each with the Python that runs it.
        models: each with the right answers.
        photos: by their width.
        folder: for the services' files.
        results: they grow.
    """

    plan: Plan
    peers: Mapping[Peer, Path]
    models: Mapping[Model, Answers]
    photos: Mapping[int, Sequence[Path]]
    folder: Path
    results: Results

    def run(self, report: Callable[[], None]) -> None:
        """Measure; `report` is called whenever the results have grown."""
        for number in range(self.plan.rounds):
            for model in self.models:
                for peer in list(self.peers)[:: -1 if number % 2 else 1]:
                    self.visit(number, peer, model)
                    report()

    def visit(self, number: int, peer: Peer, model: Model) -> None:
        """Start a service, see whether its answers are right, put it under each load, end it.

        One that fails is left out of the round.
        """
        workers, threads = self.plan.configuration(peer, number)
        own = self.folder / "service"
        own.mkdir()
        setting = Setting(
            model.bundle, model.archive, own, free_port(random.choice(PORTS)), workers, threads
        )
        told = (peer.name, model.name, setting.configuration, number)
        try:
            with Service.running(peer, self.peers[peer], setting) as service:
                self._measure(service, told, model)
        except (ServiceError, wrk.LoadError) as err:
            what = f"{peer.name}, {model.name}, {setting.configuration}"
            self.results.skipped[what] = str(err)
            logger.warning("%s: left out: %s", what, err)
        finally:
            shutil.rmtree(own, ignore_errors=True)

    def _measure(self, service: Service, told: tuple[str, str, str, int], model: Model) -> None:
        right = self.models[model]
        start = service.first_answer(next(iter(right)).read_bytes())
        agreement = check(service, right)
        most, rates = 0, dict[int, float]()
        bodies = _bodies(service, self.photos)
        for width, connections in self.plan.loads[model.name]:
            target = wrk.Target(service.url, bodies[width], service.peer.headers)
            if not rates:
                target.load(*WARM_UP)
            service.settle()
            seconds = self.plan.duration(connections, rates.get(width, 0.0))
            load, memory = target.watched(connections, seconds, service.memory)
            rates[width], most = load.requests_per_s, max(most, memory)
            cell = Cell(*told, width, connections, **asdict(load))
            _tell(cell)
            if load.requests:
                self.results.cells.append(cell)
            else:
                what = f"{', '.join(told[:3])}, {width} px, {connections} connections"
                self.results.skipped[what] = f"no answer in {seconds:.0f} s"
        mebibytes = round(most / MEBIBYTE, 1)
        self.results.starts.append(Start(*told, round(start, 2), agreement, mebibytes))
        logger.info("%s, %s, %s: first answer after %.1f s", *told[:3], start)
        logger.info("  %.2f of 5 tags as the textbook's, %.0f MiB", agreement, mebibytes)


def _bodies(service: Service, photos: Mapping[int, Sequence[Path]]) -> dict[int, list[Path]]:
    """The requests' bodies in files, as this peer wants them."""
    folder = service.setting.folder / "bodies"
    folder.mkdir()
    written: dict[int, list[Path]] = {}
    for width, paths in photos.items():
        written[width] = [folder / path.name for path in paths]
        for path, body in zip(paths, written[width], strict=True):
            body.write_bytes(service.peer.wrap(path.read_bytes()))
    return written


def _tell(cell: Cell) -> None:
    line = "%s, %s, %s: %d px, %d connections: %.1f/s, p50 %.0f ms, p99 %.0f ms, %d errors"
    logger.info(
        line,
        *(cell.peer, cell.model, cell.configuration, cell.width, cell.connections),
        *(cell.requests_per_s, cell.p50_ms, cell.p99_ms, cell.errors),
    )
