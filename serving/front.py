"""Front: what `make serve` runs: nginx before two TorchServe instances, under one supervisor."""

import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
import psutil
import requests

from serving import nginx, supervisor
from serving.address import check_free, is_loopback, local_url
from serving.archive import ArchiveError, check_archive
from serving.gate import Gate
from serving.instance import ROOT, Instance, StartError, free_port
from serving.limits import Limits
from serving.page import OWN_HOSTS, STATIC, gunicorn
from serving.supervisor import Supervisor

NAMES = ("torchserve-a", "torchserve-b")
DEPLOY = ROOT / "deploy"
OPENAPI = ROOT / "serving" / "openapi.json"
TEN_YEARS = str(10 * 365 * 24 * 60)  # minutes; supervised instances get new keys at each start
PAGE_PORT = 8100  # where the page asks for hashtags; 8080 to 8092 are the instances'
READY_TIMEOUT = 180.0  # seconds for an instance to start and load
DRAIN_TIMEOUT = 60.0  # seconds for requests in flight; nginx gives none more than 40


@dataclass(frozen=True)
class Front:
    """A running front.

    Args:
        url: where callers find it.
        listen: the address it listens on, as nginx takes it.
        run: folder of the configuration, logs and gates.
        tmp: private folder of sockets and request bodies, removed by `stop`.
        keys: file of the callers' keys, or None where they need none.
        limits: see there.
        page: whether it serves the web page.
        feedback: SQLite file that the page's feedback goes to, or None where it takes none.
        instances: the TorchServe instances.
    """

    url: str
    listen: str
    run: str
    tmp: str
    keys: str | None
    limits: Limits
    page: bool
    feedback: str | None
    instances: tuple[Instance, ...]

    @classmethod
    def start(
        cls,
        archive: Path,
        run: Path,
        *,
        listen: str | None = None,
        keys: Path | None = None,
        limits: Limits | None = None,
        settings: dict[str, str] | None = None,
        page: bool = False,
        feedback: Path | None = None,
    ) -> "Front":
        """Start everything and wait until all instances take requests.

        Args:
            archive: the .mar; its stem is the model's name.
            run: folder for all files; made, and emptied first.
            listen: ADDRESS:PORT; else 127.0.0.1 and port 8000, or another where that is taken.
            keys: file of callers' keys; without it nobody needs one.
            limits: other limits than the usual ones.
            settings: lines that go over config.properties.
            page: whether the web page, which has been built, is served too.
            feedback: SQLite file for the page's feedback.

        Raises:
            StartError: nginx is missing or refuses, or an instance did not become ready.
        """
        front = cls.prepare(
            archive,
            run,
            listen,
            keys,
            limits or Limits(),
            settings or {},
            page=page,
            feedback=feedback,
        )
        try:
            front._launch()
        except BaseException:
            front.stop()
            raise
        return front

    @classmethod
    def prepare(
        cls,
        archive: Path,
        run: Path,
        listen: str | None,
        keys: Path | None,
        limits: Limits,
        settings: dict[str, str],
        *,
        page: bool = False,
        feedback: Path | None = None,
    ) -> "Front":
        """Choose ports and write all configuration, as `start` does, but start nothing.

        Raises:
            StartError: nginx is missing or refuses its configuration, or the address is taken.
        """
        listen = listen or f"127.0.0.1:{free_port(8000)}"
        check_free(listen)
        shutil.rmtree(run, ignore_errors=True)
        (run / "logs").mkdir(parents=True)
        run.chmod(0o700)  # the gates' names hold keys
        over = {"token_expiration_min": TEN_YEARS} | settings
        instances = tuple(
            Instance.prepare(archive, run / name, settings=over, beside=number)
            for number, name in enumerate(NAMES)
        )
        front = cls(
            url=local_url(listen),
            listen=listen,
            run=str(run),
            tmp=tempfile.mkdtemp(prefix="hashstagram-"),
            keys=str(keys) if keys else None,
            limits=limits,
            page=page,
            feedback=str(feedback) if feedback else None,
            instances=instances,
        )
        try:
            front._configure()
        except BaseException:
            front.stop()
            raise
        return front

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> "Front":
        """What `to_json` gave."""
        held = {field.name: state[field.name] for field in fields(cls)}
        instances = tuple(Instance(**instance) for instance in state["instances"])
        return cls(**held | {"instances": instances, "limits": Limits(**state["limits"])})

    @property
    def supervisor(self) -> Supervisor:
        """What keeps its processes running."""
        return Supervisor(Path(self.tmp))

    @property
    def model(self) -> str:
        """The model's name in the URLs."""
        return self.instances[0].model

    def to_json(self) -> dict[str, Any]:
        """All of it; the keys of the server file are the first instance's."""
        return asdict(self.instances[0]) | asdict(self) | self._urls()

    def _urls(self) -> dict[str, str | None]:
        return {"front": self.url, "web": self.url if self.page else None}

    def is_running(self) -> bool:
        """Whether the supervisor answers."""
        return self.supervisor.pid() is not None

    def is_ready(self) -> bool:
        """Whether all instances take requests."""
        return all(Gate(Path(instance.run)).is_open() for instance in self.instances)

    def pid(self, program: str) -> int:
        """The process of nginx, readiness or an instance; 0 while it is away."""
        return self.supervisor.pid_of(program)

    def in_flight(self, instance: Instance) -> int:
        """How many requests an instance holds: nginx keeps a connection to it for each."""
        port = urlsplit(instance.inference).port
        return sum(
            connection.status == psutil.CONN_ESTABLISHED and connection.raddr.port == port
            for connection in self._connections_of_nginx()
            if connection.raddr
        )

    def _connections_of_nginx(self) -> list[Any]:
        found: list[Any] = []
        with suppress(psutil.Error):  # a process that is gone holds nothing
            for worker in psutil.Process(self.pid("nginx")).children():
                with suppress(psutil.Error):
                    found += worker.net_connections("tcp4")
        return found

    def restart(self, report: Callable[[str], None] = lambda line: None) -> None:
        """Restart the instances one after the other, so that callers notice nothing.

        The page is served as it was built last, from then on.

        Raises:
            StartError: the archive is refused, or an instance did not become ready; the others
                still take requests.
        """
        try:
            check_archive(Path(self.instances[0].archive))
        except ArchiveError as err:
            raise StartError(str(err)) from err
        for instance in self.instances:
            self._restart(instance, report)
        if self.page:
            self.supervisor.reload_program("page")  # Gunicorn: new workers, then the old ones go

    def _restart(self, instance: Instance, report: Callable[[str], None]) -> None:
        name, gate = Path(instance.run).name, Gate(Path(instance.run))
        others = [Gate(Path(i.run)) for i in self.instances if i is not instance]
        self._wait(lambda: any(g.is_open() for g in others), READY_TIMEOUT, "no other is ready")
        report(f"{name}: draining")
        self._drain(instance)
        report(f"{name}: restarting")
        self.supervisor.stop_program(name)
        instance.admit()
        gate.release()
        self.supervisor.start_program(name)
        self._wait(gate.is_open, READY_TIMEOUT, f"{name} is not ready")

    def stop(self) -> None:
        """End it: first nginx, which finishes what it has, then the instances; clear up after it.

        What a supervisor left that did not end this way is ended too.
        """
        self.supervisor.stop(DRAIN_TIMEOUT + 30)
        orphans = [process for process in psutil.process_iter() if self._owns(process)]
        for orphan in orphans:
            with suppress(psutil.NoSuchProcess):
                orphan.kill()
        psutil.wait_procs(orphans, timeout=5)
        for instance in self.instances:
            instance.stop()
            Gate(Path(instance.run)).close()
        shutil.rmtree(self.tmp, ignore_errors=True)

    def _configure(self) -> None:
        """Fill the templates in, and let nginx look at its own.

        Raises:
            StartError: nginx is not installed, or refuses the configuration.
        """
        for instance in self.instances:
            instance.save()
            Gate(Path(instance.run)).close()
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(DEPLOY),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters["quote"] = shlex.quote
        facts = asdict(self) | {
            "instances": [{"name": Path(i.run).name, **asdict(i)} for i in self.instances],
            "model": self.model,
            "openapi": OPENAPI,
            "root": os.geteuid() == 0,
            "python": sys.executable,
            "checkout": ROOT,
            "gunicorn": gunicorn(),
            "web": STATIC.parent,
            "hosts": OWN_HOSTS if is_loopback(self.listen) else None,
            "asking": {"port": free_port(PAGE_PORT), "key": secrets.token_urlsafe(32)},
            "threads": max(1, (os.cpu_count() or 1) // len(self.instances)),
        }
        for name in (nginx.NAME, supervisor.NAME):
            text = environment.get_template(f"{name}.j2").render(facts)
            (Path(self.tmp) / name).write_text(text, encoding="utf-8")
        try:
            command = nginx.command(Path(self.tmp))
        except FileNotFoundError as err:
            raise StartError(str(err)) from err
        tested = subprocess.run([*command, "-t"], capture_output=True, text=True)
        if tested.returncode:
            raise StartError(f"nginx refuses its configuration:\n{tested.stderr.strip()}")

    def _launch(self) -> None:
        self.supervisor.start()
        self._wait(self.is_ready, READY_TIMEOUT, "the instances are not ready")
        self._wait(lambda: self._answers("/healthz"), 10, "nginx does not answer")
        if self.page:
            self._wait(lambda: self._answers("/"), 30, "the page does not answer")

    def _answers(self, path: str) -> bool:
        with suppress(requests.RequestException):
            return requests.get(self.url + path, timeout=5).ok
        return False

    def _drain(self, instance: Instance) -> None:
        """Close its gate, and wait until its last request has been answered."""
        gate = Gate(Path(instance.run))
        gate.drain()
        time.sleep(0.3)  # a request that has just passed the gate shows by then
        try:
            self._wait(
                lambda: self.in_flight(instance) == 0,
                DRAIN_TIMEOUT,
                f"{gate.folder.name} still has requests",
            )
        except BaseException:
            gate.release()
            raise

    def _wait(self, condition: Callable[[], bool], timeout: float, failure: str) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if not self.is_running():
                raise StartError(f"the supervisor ended: see {self.run}/logs")
            if time.monotonic() > deadline:
                raise StartError(f"{failure} after {timeout:.0f} s: see {self.run}")
            time.sleep(0.1)

    def _owns(self, process: psutil.Process) -> bool:
        """Workers of nginx rewrite their command line, but stay in the folder."""
        try:
            command = " ".join(process.cmdline())
            ours = (self.tmp, f"serving.readiness {self.run}")
            return process.cwd() == self.tmp or any(words in command for words in ours)
        except psutil.Error:
            return False
