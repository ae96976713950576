"""What a server says of its models: versions, their workers, and whether they are ready."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Worker:
    """A process that runs a model.

    Args:
        pid: None while it has not started.
        ready: whether it takes requests; one that loads, or has died and is started again, is not.
    """

    pid: int | None
    ready: bool


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model in one instance of the server.

    Args:
        instance: the instance's name, such as "torchserve-a".
        model: the model's name.
        version: of the model.
        is_default: whether requests that name no version get this one.
        wanted: how many workers are to run.
        workers: those that there are.
        queued: requests that wait for a worker; those that a worker holds are not shown.
        response_timeout: seconds after which a worker that holds requests is killed.
    """

    instance: str
    model: str
    version: str
    is_default: bool
    wanted: int
    workers: tuple[Worker, ...]
    queued: int
    response_timeout: float

    @property
    def ready(self) -> bool:
        """Whether as many workers as wanted are ready."""
        return sum(worker.ready for worker in self.workers) >= max(1, self.wanted)

    @classmethod
    def from_json(
        cls, described: Mapping[str, Any], *, instance: str, default: str
    ) -> "ModelVersion":
        """Read TorchServe's description.

        Raises:
            KeyError, TypeError: something is missing.
        """
        return cls(
            instance=instance,
            model=described["modelName"],
            version=described["modelVersion"],
            is_default=described["modelVersion"] == default,
            wanted=described["minWorkers"],
            workers=tuple(
                Worker(w["pid"] if w["pid"] > 0 else None, w["status"] == "READY")
                for w in described["workers"]
            ),
            queued=described["jobQueueStatus"]["pendingRequests"],
            response_timeout=described["responseTimeout"],
        )
