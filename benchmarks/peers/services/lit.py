"""LitServe with its own batching."""

from typing import Annotated, Any

import litserve
from fastapi import Body

from benchmarks.peers.setting import Setting
from benchmarks.peers.textbook import BATCH, WAIT, Textbook


class Hashtags(litserve.LitAPI):
    """LitServe's four steps."""

    def setup(self, device: str) -> None:
        """Load the model in a worker."""
        self.textbook = Textbook.from_setting(Setting.from_environment())

    def decode_request(self, request: Annotated[bytes, Body()]) -> bytes:
        """The raw body."""
        return request

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        """A list is batch enough."""
        return inputs

    def predict(self, x: list[bytes]) -> list[Any]:
        """A batch of photos to their answers."""
        return list(self.textbook.answer(x))

    def unbatch(self, output: list[Any]) -> list[Any]:
        """Likewise."""
        return output

    def encode_response(self, output: Any) -> Any:
        """As it is."""
        return output


if __name__ == "__main__":
    setting = Setting.from_environment()
    api = Hashtags(max_batch_size=BATCH, batch_timeout=WAIT)
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=setting.workers, timeout=300
    )
    server.run("127.0.0.1", setting.port, log_level="warning", generate_client_file=False)
