"""FastAPI and uvicorn with dynamic batching by the library batched."""

from typing import Any

import anyio
from batched import aio
from fastapi import FastAPI, Request

from benchmarks.peers.setting import Setting
from benchmarks.peers.textbook import BATCH, WAIT, Textbook

app = FastAPI()
textbook = Textbook.from_setting(Setting.from_environment())
limiter = anyio.CapacityLimiter(1)


@aio.dynamically(batch_size=BATCH, timeout_ms=WAIT * 1000)
async def recommend(photos: list[bytes]) -> list[Any]:
    """A batch of photos to their answers."""
    return list(await anyio.to_thread.run_sync(textbook.answer, photos, limiter=limiter))


@app.post("/predict")
async def predict(request: Request) -> Any:
    """A raw photo to its hashtags."""
    [answer] = await recommend([await request.body()])
    return answer
