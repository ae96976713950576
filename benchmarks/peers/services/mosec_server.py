"""Mosec with its own batching; it reads its address from MOSEC_ variables."""

import json
import os
from typing import Any

import mosec

from benchmarks.peers.setting import Setting
from benchmarks.peers.textbook import BATCH, WAIT, Textbook


class Hashtags(mosec.Worker):
    """Mosec's worker."""

    def __init__(self) -> None:
        super().__init__()
        self.textbook = Textbook.from_setting(Setting.from_environment())

    def deserialize(self, data: bytes) -> bytes:
        """The raw body."""
        return data

    def forward(self, data: list[bytes]) -> list[Any]:
        """A batch of photos to their answers."""
        return list(self.textbook.answer(data))

    def serialize(self, data: Any) -> bytes:
        """JSON."""
        return json.dumps(data).encode()


if __name__ == "__main__":
    setting = Setting.from_environment()
    os.environ |= {"MOSEC_ADDRESS": "127.0.0.1", "MOSEC_PORT": str(setting.port)}
    os.environ |= {"MOSEC_TIMEOUT": "300000", "MOSEC_LOG_LEVEL": "warning"}
    server = mosec.Server()
    server.append_worker(
        Hashtags, num=setting.workers, max_batch_size=BATCH, max_wait_time=int(WAIT * 1000)
    )
    server.run()
