"""Instance: one TorchServe process with its own ports, run folder and temporary directory.

Run by the supervisor of `make serve`: python -m serving.instance RUN
"""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NoReturn

import psutil
import requests

from serving.archive import ArchiveError, admit
from serving.gate import Gate
from serving.java import find_java

ROOT = Path(__file__).resolve().parent.parent
RUN = ROOT / ".run"
# Heap and direct memory for the bodies that callers without a front have in flight: they lie in one
# while they wait, and in the other while they come and go. What the heap starts with is touched at
# once, so that a process that grows leaks. The second compiler costs more than it gains here: with
# it a refused photo takes twice the CPU time, and the process 40 MB more.
JAVA_FLAGS = (
    *("-XX:+UseSerialGC", "-Xms128m", "-Xmn48m", "-Xmx1g", "-XX:+AlwaysPreTouch"),
    *("-XX:MaxDirectMemorySize=1g", "-XX:+ExitOnOutOfMemoryError", "-XX:TieredStopAtLevel=1"),
    "-Dio.netty.allocator.maxOrder=8",  # chunks of 2 MB in place of 16
)
NICE = 5  # nginx must still answer when all cores are busy with photos
SETTINGS = ROOT / "config.properties"
OPERATOR_SETTINGS = ROOT / "operator.properties"  # git does not track it; need not be there
PORTS = {"inference": 8080, "management": 8081, "metrics": 8082}


class StartError(RuntimeError):
    """TorchServe did not start, or the model did not become ready; the message says why."""


@dataclass(frozen=True)
class Instance:
    """A running TorchServe: where to reach it, and what `stop` needs to end it.

    Args:
        model: the model's name in the URLs.
        inference: base URL; likewise management and metrics.
        key_file: TorchServe's access keys; it makes new ones at every start.
        pid: the java process, leader of its own process group.
        archive: the .mar that is served; `store` holds what a start loads of it.
        run: folder of configuration, keys and logs.
        tmp: the private temporary directory, removed by `stop`.
    """

    model: str
    inference: str
    management: str
    metrics: str
    key_file: str
    pid: int
    archive: str
    run: str
    tmp: str

    @classmethod
    def start(
        cls,
        archive: Path,
        run: Path,
        *,
        settings: dict[str, str] | None = None,
        timeout: float = 120,
    ) -> "Instance":
        """Start TorchServe on free ports and wait until the model answers.

        Args:
            archive: the .mar; its stem is the model's name.
            run: folder for this instance's files; made, and emptied first.
            settings: lines that go over config.properties.
            timeout: seconds until the worker has to be ready.

        Raises:
            StartError: the archive is refused, TorchServe ended, or the worker was not ready in
                time.
        """
        instance = cls.prepare(archive, run, settings=settings)
        instance = replace(instance, pid=instance._launch())
        try:
            instance._wait_until_ready(timeout)
        except BaseException:
            instance.stop()
            raise
        return instance

    @classmethod
    def prepare(
        cls, archive: Path, run: Path, *, settings: dict[str, str] | None = None, beside: int = 0
    ) -> "Instance":
        """Choose ports and write the configuration, but start nothing: the pid is 0.

        Args:
            archive: the .mar; its stem is the model's name.
            run: folder for this instance's files; made, and emptied first.
            settings: lines that go over config.properties.
            beside: how many others are prepared at the same time; it shifts the usual ports.
        """
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir(parents=True, mode=0o700)
        # Short and private: worker sockets live here, and a socket's path has 108 bytes at most.
        tmp = Path(tempfile.mkdtemp(prefix="hashstagram-"))
        urls = {
            name: f"http://127.0.0.1:{free_port(port + 10 * beside)}"
            for name, port in PORTS.items()
        }
        _write_config(run, archive, urls, settings or {}, beside)
        instance = cls(
            model=archive.stem,
            key_file=str(run / "key_file.json"),
            pid=0,
            archive=str(archive),
            run=str(run),
            tmp=str(tmp),
            **urls,
        )
        try:
            instance.admit()
        except StartError:
            instance.clear()
            raise
        return instance

    @property
    def store(self) -> Path:
        """The folder that TorchServe takes archives from; ours alone is in it."""
        return Path(self.run) / "store"

    def admit(self) -> None:
        """Put the archive as it is now into the store, for the next start.

        Raises:
            StartError: it is refused, and the store keeps the one before.
        """
        try:
            admit(Path(self.archive), self.store)
        except ArchiveError as err:
            raise StartError(str(err)) from err

    @classmethod
    def load(cls, file: Path) -> "Instance":
        """Read what `save` wrote."""
        return cls(**json.loads(file.read_text(encoding="utf-8")))

    def save(self) -> None:
        """Write instance.json into the run folder, for the processes that look after this one."""
        text = json.dumps(asdict(self), indent=2)
        (Path(self.run) / "instance.json").write_text(text + "\n", encoding="utf-8")

    def key(self, kind: Literal["inference", "management"]) -> str:
        """An access key that is good now: one that has expired is renewed.

        Raises:
            OSError: there is no key file, or TorchServe does not answer.
        """
        held = self._keys()
        if datetime.fromisoformat(held[kind]["expiration time"]) <= datetime.now(UTC):
            requests.get(
                f"{self.management}/token?type={kind}",
                headers={"Authorization": f"Bearer {held['API']['key']}"},
                timeout=5,
            )
            held = self._keys()  # the new key only appears there
        return held[kind]["key"]

    def _keys(self) -> dict[str, dict[str, str]]:
        keys: dict[str, dict[str, str]] = json.loads(Path(self.key_file).read_text("utf-8"))
        return keys

    def describe(self) -> dict[str, Any]:
        """TorchServe's description of the model's default version.

        Raises:
            requests.RequestException: no answer, or not a good one.
        """
        answer = requests.get(
            f"{self.management}/models/{self.model}",
            headers={"Authorization": f"Bearer {self.key('management')}"},
            timeout=5,
        )
        answer.raise_for_status()
        description: dict[str, Any] = answer.json()[0]
        return description

    def is_ready(self) -> bool:
        """Whether as many workers as wanted are ready; /ping says yes long before that."""
        try:
            model = self.describe()
        except (OSError, ValueError, KeyError):  # requests' exceptions are OSErrors
            return False
        return len(ready_workers(model)) >= max(1, int(model["minWorkers"]))

    def scale(self, workers: int) -> None:
        """Have the model run in so many workers; TorchServe starts them in its own time.

        Raises:
            OSError: there is no key file yet, or no answer: requests' exceptions are OSErrors.
        """
        requests.put(
            f"{self.management}/models/{self.model}",
            params={"min_worker": workers, "max_worker": workers},
            headers={"Authorization": f"Bearer {self.key('management')}"},
            timeout=5,
        ).raise_for_status()

    def is_running(self) -> bool:
        """Whether the process still lives, and is ours and not a later one of the same number."""
        try:
            process = psutil.Process(self.pid)
            return process.status() != psutil.STATUS_ZOMBIE and _mentions(process, self.tmp)
        except psutil.Error:
            return False

    def stop(self, timeout: float = 20) -> None:
        """End TorchServe and its workers, and remove its keys, its store and temporary files."""
        if self.is_running():
            server = psutil.Process(self.pid)
            server.terminate()
            with suppress(psutil.TimeoutExpired):
                server.wait(timeout)
        self.clear()
        shutil.rmtree(self.store, ignore_errors=True)

    def kill(self) -> None:
        """End the server and its workers at once, whoever started them."""
        killed = [process for process in psutil.process_iter() if _mentions(process, self.tmp)]
        for process in killed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(killed, timeout=5)

    def clear(self) -> None:
        """End what a crash left running, and remove the keys and the temporary directory."""
        self.kill()
        Path(self.key_file).unlink(missing_ok=True)
        shutil.rmtree(self.tmp, ignore_errors=True)

    def execute(self) -> NoReturn:
        """Become this instance's server: for a supervisor, whose child then is java itself."""
        self.clear()
        Path(self.tmp).mkdir(mode=0o700)
        os.chdir(self.run)  # the key file appears here
        command = self._command()
        os.execve(command[0], command, self._environment())

    def _launch(self) -> int:
        """Start the server and answer its pid."""
        with (Path(self.run) / "console.log").open("wb") as console:
            server = subprocess.Popen(
                self._command(),
                cwd=self.run,  # the key file appears here
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server.returncode = 0  # it outlives this object on purpose, which would warn of it
        return server.pid

    def _command(self) -> list[str]:
        """Java itself, not the torchserve command: that one loses signals."""
        spec = find_spec("ts")
        if spec is None or spec.origin is None:
            raise StartError("TorchServe is not installed: run 'make install'")
        home = Path(spec.origin).parent.parent
        config = Path(self.run) / "config.properties"
        command = [
            *(find_java(), *JAVA_FLAGS),
            *(f"-Djava.io.tmpdir={self.tmp}", f"-Dmodel_server_home={home}"),
            f"-Dlog4j.configurationFile={(ROOT / 'serving' / 'log4j2.xml').as_uri()}",
            *("-cp", f"{home}/ts/frontend/*", "org.pytorch.serve.ModelServer"),
            *("--python", sys.executable, "-f", config, "-s", self.store, "-ncs"),
        ]
        return [str(part) for part in command]

    def _environment(self) -> dict[str, str]:
        logs = str(Path(self.run) / "logs")
        private = {"TMPDIR": self.tmp, "TEMP": self.tmp}
        return os.environ | private | {"LOG_LOCATION": logs, "METRICS_LOCATION": logs}

    def _wait_until_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            time.sleep(0.2)  # first: a process has no command line while it is being started
            if not self.is_running():
                raise StartError(f"TorchServe ended.{self._log()}")
            if time.monotonic() > deadline:
                raise StartError(f"no worker was ready after {timeout:.0f} s.{self._log()}")

    def _log(self) -> str:
        """The last lines that the server and its workers wrote."""
        logs = [Path(self.run) / "console.log", Path(self.run) / "logs" / "worker.log"]
        tails = [log.read_text(errors="replace")[-2000:] for log in logs if log.exists()]
        return "\n" + "\n".join(tails)


def ready_workers(model: dict[str, Any]) -> list[int]:
    """The pids of the workers that are ready, by a model's description."""
    return [int(worker["pid"]) for worker in model["workers"] if worker["status"] == "READY"]


def free_port(preferred: int) -> int:
    """The usual port where it is free, else one that no outgoing connection may take meanwhile.

    Nobody else who asks gets the same one until this process ends, when its server listens.

    Raises:
        StartError: none was found.
    """
    for port in (preferred, *random.sample(range(20000, 32768), 100)):
        if _is_free(port) and _claim(port):
            return port
    raise StartError("there is no free port on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return _binds(probe, port)


def _claim(port: int) -> bool:
    """Take the UDP port of that number, which serves as the mark that the other is spoken for."""
    with socket.socket(type=socket.SOCK_DGRAM) as mark:
        if not _binds(mark, port):
            return False
        mark.detach()  # stays open: the system closes it when this process ends
        return True


def _binds(probe: socket.socket, port: int) -> bool:
    with suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def _write_config(
    run: Path, archive: Path, urls: dict[str, str], over: dict[str, str], beside: int
) -> None:
    """config.properties, the operator's and this instance's lines: the last of a name counts."""
    settings = {
        "inference_address": urls["inference"],
        "management_address": urls["management"],
        "metrics_address": urls["metrics"],
        "grpc_inference_port": str(free_port(7070 + 10 * beside)),
        "grpc_management_port": str(free_port(7071 + 10 * beside)),
        "metrics_config": str(ROOT / "serving" / "metrics.yaml"),
        "load_models": f"{archive.stem}={archive.name}",
        **over,
    }
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    config = run / "config.properties"
    given = [path.read_text() for path in (SETTINGS, OPERATOR_SETTINGS) if path.exists()]
    config.write_text("\n".join([*given, "".join(lines)]))


def _mentions(process: psutil.Process, folder: str) -> bool:
    """Whether a process was started with this folder: java and its workers name their own."""
    try:
        return folder in " ".join(process.cmdline())
    except psutil.Error:
        return False


def main(argv: Sequence[str] | None = None) -> int:
    """Become the server of the instance whose run folder is given, less urgent than nginx."""
    [run] = map(Path, sys.argv[1:] if argv is None else argv)
    Gate(run).close()  # whatever key it holds, the new server has another
    os.nice(NICE)
    Instance.load(run / "instance.json").execute()


if __name__ == "__main__":
    sys.exit(main())
