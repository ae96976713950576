"""BentoML with its adaptive batching, which takes photos as a form's files."""

from typing import Any

import bentoml
from PIL import Image

from benchmarks.peers.setting import Setting
from benchmarks.peers.textbook import BATCH, Textbook

setting = Setting.from_environment()


@bentoml.service(
    workers=setting.workers, traffic={"timeout": 300}, logging={"access": {"enabled": False}}
)
class Hashtags:
    """BentoML's service."""

    def __init__(self) -> None:
        self.textbook = Textbook.from_setting(setting)

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=60_000)
    def predict(self, images: list[Image.Image]) -> list[dict[str, Any]]:
        """A batch of photos to their answers; the latency is what a request may take in all."""
        return [dict(answer) for answer in self.textbook.answer(images)]
