"""Worker log: what this process logs as JSON, one object a line."""

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

# What a record may carry beside its message: logger.info("…", extra={"request_id": …}).
_EXTRA = ("request_id", "reason")
_METRICS = "ts.metrics.caching_metric"


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON.

    Args:
        always: fields of every line, such as the model's name.
    """

    def __init__(self, **always: str) -> None:
        super().__init__()
        self.always = always

    def format(self, record: logging.LogRecord) -> str:
        """The line; a metric's stays as TorchServe reads it from the worker's output."""
        if record.name == _METRICS:
            return record.getMessage()
        time = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self.always,
            **{name: value for name in _EXTRA if (value := getattr(record, name, None))},
        }
        if record.exc_info and record.exc_info[1]:
            line |= _error(record.exc_info[1], quote=not hasattr(record, "request_id"))
        return json.dumps(line)  # in ASCII: TorchServe ends a line at U+2028, too


def _error(error: BaseException, *, quote: bool) -> dict[str, str]:
    """An exception's class and traceback, and its text where it cannot quote a caller's photo."""
    told = {"error": type(error).__name__}
    if quote:
        return told | {"traceback": "".join(traceback.format_exception(error))}
    return told | {"traceback": "".join(traceback.format_tb(error.__traceback__))}


def log_as_json(*loggers: str, **always: str) -> None:
    """Let all that this process logs, Python's warnings included, be JSON from now on.

    Args:
        loggers: whose INFO lines are wanted. TorchServe's own say no more than that a batch came.
        always: fields of every line.
    """
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    for name in (*loggers, _METRICS):
        logging.getLogger(name).setLevel(logging.INFO)
    for handler in root.handlers:
        handler.setFormatter(JsonLines(**always))
