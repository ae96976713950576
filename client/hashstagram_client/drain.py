"""Drain: when a version that is no longer the default has answered all that it was asked."""

import time

from hashstagram_client.torchserve import TorchServe

MARGIN = 2.0  # seconds for a request that was on its way to the queue when the default changed


class Drain:
    """Watches one version in one instance.

    TorchServe shows what is queued, but not what workers hold. What it promises is that a worker
    which holds requests for longer than responseTimeout is killed, and they are answered with 500.
    So when the queue has been empty for that long, nobody waits any more. To remove a version
    before is to leave its callers without any answer.

    Args:
        instance: where it runs.
        model: its name.
        version: which is not the default any more.
    """

    def __init__(self, instance: TorchServe, model: str, version: str) -> None:
        self.instance = instance
        self.model = model
        self.version = version
        self._empty_since: float | None = None

    def is_over(self) -> bool:
        """Look once; to be asked every second or so until it says yes."""
        found = self.instance.version(self.model, self.version)
        if found is None:  # the instance was restarted
            return True
        now = time.monotonic()
        if found.queued:
            self._empty_since = None
            return False
        if self._empty_since is None:
            self._empty_since = now
        return now - self._empty_since > found.response_timeout + MARGIN
