"""FastAPI and uvicorn: a photo at a time in each process, beside the event loop."""

from typing import Any

import anyio
from fastapi import FastAPI, Request

from benchmarks.peers.setting import Setting
from benchmarks.peers.textbook import Textbook

app = FastAPI()
textbook = Textbook.from_setting(Setting.from_environment())
limiter = anyio.CapacityLimiter(1)


@app.post("/predict")
async def predict(request: Request) -> Any:
    """A raw photo to its hashtags."""
    photo = await request.body()
    [answer] = await anyio.to_thread.run_sync(textbook.answer, [photo], limiter=limiter)
    return answer
