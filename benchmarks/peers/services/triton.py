"""PyTriton, which puts NVIDIA's Triton before Python functions, with Triton's dynamic batcher."""

import json
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.peers.setting import Setting
from benchmarks.peers.textbook import BATCH, WAIT, Textbook

setting = Setting.from_environment()


class Hashtags:
    """One of Triton's model instances."""

    def __init__(self) -> None:
        self.textbook = Textbook.from_setting(setting)

    @batch
    def __call__(self, photo: Any) -> dict[str, Any]:
        """Photos (N, 1) to their answers (N, 1)."""
        answers = self.textbook.answer(list(photo[:, 0]))
        return {"answer": np.array([[json.dumps(answer).encode()] for answer in answers])}


if __name__ == "__main__":
    config = TritonConfig(
        http_address="127.0.0.1", http_port=setting.port, allow_grpc=False, allow_metrics=False
    )
    with Triton(config=config, workspace=str(setting.folder / "triton")) as server:
        server.bind(
            model_name="hashtags",
            infer_func=[Hashtags() for _ in range(setting.workers)],
            inputs=[Tensor(name="photo", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="answer", dtype=bytes, shape=(1,))],
            config=ModelConfig(
                max_batch_size=BATCH,
                batcher=DynamicBatcher(max_queue_delay_microseconds=int(WAIT * 1_000_000)),
            ),
        )
        server.serve()
