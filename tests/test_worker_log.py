"""The worker's log lines, in a process that logs as TorchServe's worker does."""

import json
import subprocess
import sys
from typing import Any

from tests.conftest import ROOT

START = """
import logging, sys, warnings
logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
logger = logging.getLogger("hashtag_handler")
def fail(secret):
    raise ValueError(secret)
from worker_log import log_as_json
log_as_json("hashtag_handler", model="hashtags", version="1.0")
"""


def output(script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", START + script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "handler")},
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def lines(script: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output(script)]


def test_a_line_is_an_object_with_the_models_name_and_the_requests_id() -> None:
    [line] = lines("logger.info('a %s', 'photo', extra={'request_id': 'r1', 'reason': 'X'})")
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "hashtag_handler",
        "message": "a photo",
        "model": "hashtags",
        "version": "1.0",
        "request_id": "r1",
        "reason": "X",
    }


def test_no_character_breaks_a_line() -> None:
    [line] = lines(r"logger.warning('a\nb\u2028c\x85d')")
    assert line["message"] == "a\nb\u2028c\x85d"
    [text] = output(r"logger.warning('a\nb\u2028c\x85d')")
    assert text.isascii()


FAIL = """
try:
    fail("SECRET")
except ValueError:
    logger.exception("it failed", extra=%s)
"""


def test_an_error_is_one_line_with_its_traceback() -> None:
    [line] = lines(FAIL % "{}")
    assert (line["error"], line["message"]) == ("ValueError", "it failed")
    assert "in fail" in line["traceback"]
    assert line["traceback"].endswith("ValueError: SECRET\n")


def test_an_error_about_a_request_does_not_quote_it() -> None:
    [line] = lines(FAIL % "{'request_id': 'r1'}")
    assert line["error"] == "ValueError"
    assert "in fail" in line["traceback"]
    # The source line of the script itself is not there: it was given with -c.
    assert "SECRET" not in json.dumps(line)


def test_warnings_are_lines_and_others_chatter_is_not() -> None:
    [warned] = lines("warnings.warn('beware'); logging.info('Backend received inference at')")
    assert (warned["level"], warned["logger"]) == ("WARNING", "py.warnings")
    assert "beware" in warned["message"]


def test_a_metric_stays_as_torchserve_reads_it() -> None:
    assert output("logging.getLogger('ts.metrics.caching_metric').info('[METRICS]x.y:1')") == [
        "[METRICS]x.y:1"
    ]
