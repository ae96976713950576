"""Failures: each error becomes {"code", "type", "message"}, in words for who sees the page."""

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from hashstagram.errors import HashstagramError
from hashstagram_client import (
    AnswerError,
    BusyError,
    ClientError,
    DeadlineExceededError,
    UnauthorizedError,
)

LARGE = "The photo's file is too large: 20 MB at most."
AWAY = "The hashtag service does not answer at the moment. Try again in a little while."
SLOW = "The hashtag service took too long. Try again in a little while."
BUSY = "The hashtag service is busy. Try again in a few seconds."
FAILED = "The hashtag service failed on this photo. Try again, or try another photo."


def translate(app: Flask) -> None:
    """Have the application answer errors this way."""
    app.register_error_handler(ClientError, _of_client)
    app.register_error_handler(HashstagramError, _of_photo)
    app.register_error_handler(HTTPException, _of_http)


def _body(code: int, kind: str, message: str) -> Response:
    answer = jsonify(code=code, type=kind, message=message)
    answer.status_code = code
    return answer


def _of_client(error: ClientError) -> Response:
    """What the server says of a photo is for its owner; the rest is for the log, not the world."""
    if isinstance(error, DeadlineExceededError):
        return _body(504, "ServiceUnavailable", SLOW)
    if isinstance(error, BusyError):
        return _body(503, "ServiceUnavailable", BUSY)
    if not isinstance(error, AnswerError) or isinstance(error, UnauthorizedError):
        return _body(503, "ServiceUnavailable", AWAY)
    if error.status >= 500 or error.status == 200:
        return _body(502, "ServiceFailed", FAILED)
    return _body(error.status, error.kind, str(error))


def _of_photo(error: HashstagramError) -> Response:
    return _body(error.status, type(error).__name__, str(error))


def _of_http(error: HTTPException) -> Response:
    code = error.code or 500
    message = LARGE if code == 413 else error.description or error.name
    answer = _body(code, type(error).__name__, message)
    answer.headers.extend(
        (name, value) for name, value in error.get_headers() if name in ("Allow", "Retry-After")
    )
    return answer
