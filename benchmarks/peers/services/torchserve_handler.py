"""The textbook handler in the form that TorchServe wants."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.peers.setting import Setting
from benchmarks.peers.textbook import Textbook


class HashtagHandler:
    """TorchServe's two methods."""

    def initialize(self, context: Any) -> None:
        """Load the model in a worker."""
        self.textbook = Textbook.from_setting(Setting.from_environment())

    def handle(self, data: Sequence[Mapping[str, Any]], context: Any) -> list[str]:
        """A batch of raw photos to their answers."""
        return [json.dumps(a) for a in self.textbook.answer([bytes(row["body"]) for row in data])]
