"""Ray Serve with its own batching."""

import signal
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.peers.setting import Setting
from benchmarks.peers.textbook import BATCH, WAIT, Textbook

setting = Setting.from_environment()


@serve.deployment(
    num_replicas=setting.workers,
    max_ongoing_requests=8 * BATCH,
    ray_actor_options={"num_cpus": 0},  # Serve's own actors ask for none either
    logging_config={"enable_access_log": False},
)
class Hashtags:
    """Ray Serve's deployment."""

    def __init__(self) -> None:
        self.textbook = Textbook.from_setting(Setting.from_environment())

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=WAIT)
    async def recommend(self, photos: list[bytes]) -> list[Any]:
        """A batch of photos to their answers."""
        return list(self.textbook.answer(photos))

    async def __call__(self, request: Request) -> Any:
        """A raw photo to its hashtags."""
        return await self.recommend(await request.body())


if __name__ == "__main__":
    ray.init(
        include_dashboard=False,
        object_store_memory=200 * 2**20,
        _temp_dir=str(setting.folder / "ray"),
        _node_ip_address="127.0.0.1",
    )
    serve.start(http_options={"host": "127.0.0.1", "port": setting.port})
    serve.run(Hashtags.bind(), route_prefix="/predict")
    signal.pause()
