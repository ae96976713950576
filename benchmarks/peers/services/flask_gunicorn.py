"""Flask and Gunicorn: a photo at a time in each process."""

from typing import Any

from flask import Flask, request

from benchmarks.peers.setting import Setting
from benchmarks.peers.textbook import Textbook

app = Flask(__name__)
textbook = Textbook.from_setting(Setting.from_environment())


@app.post("/predict")
def predict() -> Any:
    """A raw photo to its hashtags."""
    [answer] = textbook.answer([request.get_data()])
    return dict(answer)
