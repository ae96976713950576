"""Readiness: opens and closes the instances' gates by what their models say, never by /ping.

Run by the supervisor: python -m serving.readiness RUN
"""

import logging
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread

import psutil
import requests

from serving.gate import Gate
from serving.instance import Instance, ready_workers

POLL = 0.5  # seconds
WORKERS = 2  # of each instance: when one dies, the other goes on with the queue
SILENCE = 20.0  # seconds without an answer, after which an instance counts as hung

logger = logging.getLogger(__name__)


class Watch:
    """Keeps one instance's gate as its model is."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.gate = Gate(Path(instance.run))
        self.heard = time.monotonic()

    def run(self) -> None:
        """Look, wait, look again, for ever."""
        while True:
            workers = self.look()
            if not workers:
                time.sleep(POLL)
                continue
            _, alive = psutil.wait_procs(workers, timeout=POLL)
            if not alive and not self.gate.is_drained():
                self.abandon("lost its last worker")

    def look(self) -> list[psutil.Process]:
        """The workers of an instance that are ready; its gate is open while there are some."""
        try:
            model = self.instance.describe()
            workers = [
                psutil.Process(pid) for pid in ready_workers(model) if psutil.pid_exists(pid)
            ]
            key = self.instance.key("inference") if workers else ""
            # One first, the others after it; but somebody may have scaled to none.
            if int(model["minWorkers"]) < (WORKERS if workers else 1):
                self.instance.scale(WORKERS)
        except requests.Timeout:  # busy, most likely: no reason to send everybody away
            if time.monotonic() - self.heard > SILENCE:
                self.abandon(f"gave no answer for {SILENCE:.0f} s")
            return []
        except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
            workers, key = [], ""
        self.heard = time.monotonic()
        self.set_gate(key)
        return workers

    def set_gate(self, key: str) -> None:
        """Open with the key, or close where there is none."""
        before = self.gate.is_open()
        if key:
            self.gate.open(key)
        else:
            self.gate.close()
        if self.gate.is_open() != before:
            logger.info("%s is %s", self.gate.folder.name, "closed" if before else "open")

    def abandon(self, reason: str) -> None:
        """End the server at once; the supervisor starts a new one.

        TorchServe would start a new worker too, but until then keep all requests of its queue
        waiting. A server that is gone lets nginx ask the other instance in the same moment.
        """
        logger.warning("%s %s: starting it anew", self.gate.folder.name, reason)
        self.gate.close()
        self.instance.kill()
        self.heard = time.monotonic()


def main(argv: Sequence[str] | None = None) -> int:
    """Watch all instances below the run folder."""
    [run] = sys.argv[1:] if argv is None else argv
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    files = sorted(Path(run).glob("*/instance.json"))
    watches = [Thread(target=Watch(Instance.load(file)).run) for file in files]
    for watch in watches:
        watch.start()
    for watch in watches:
        watch.join()
    return 1


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
