"""What a live server writes into its logs, and what it does not."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from serving.instance import Instance

pytestmark = pytest.mark.serving

MARK = "PRIVATE7c1f"


def lines(instance: Instance, log: str) -> list[dict[str, Any]]:
    text = (Path(instance.run) / "logs" / log).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def wait_for(
    instance: Instance, log: str, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The first such line; the worker's reach their file a little after the answer."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if found := [line for line in lines(instance, log) if wanted(line)]:
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"{log} has no such line")


def post(instance: Instance, path: str, **request: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {instance.key('inference')}"} | request.pop("headers", {})
    return requests.post(f"{instance.inference}{path}", headers=headers, timeout=60, **request)


def test_a_bad_photo_is_one_line_with_its_reason_and_request(instance: Instance) -> None:
    answer = post(instance, "/predictions/hashtags", data=b"no photo")
    request_id = answer.headers["x-request-id"]
    line = wait_for(instance, "worker.log", lambda line: line.get("request_id") == request_id)
    assert line["level"] == "INFO"
    assert line["reason"] == "UnsupportedImageError"
    assert (line["model"], line["version"]) == ("hashtags", "1.0")
    time.sleep(0.5)
    assert [each.get("request_id") for each in lines(instance, "worker.log")].count(request_id) == 1


def test_a_good_photo_is_no_line_of_the_workers(instance: Instance, jpeg: bytes) -> None:
    post(instance, "/predictions/hashtags", data=b"settled")
    time.sleep(0.5)
    before = len(lines(instance, "worker.log"))
    assert post(instance, "/predictions/hashtags", data=jpeg).status_code == 200
    time.sleep(0.5)
    assert len(lines(instance, "worker.log")) == before


def test_access_is_told_without_the_query(instance: Instance, jpeg: bytes) -> None:
    path = '/models/hashtags/invoke?k=1&exclude="quoted"'
    headers = {"Content-Type": "application/octet-stream"}
    assert post(instance, path, data=jpeg, headers=headers).status_code == 200
    line = wait_for(instance, "access.log", lambda line: line["path"] == "/models/hashtags/invoke")
    assert (line["method"], line["status"], line["client"]) == ("POST", 200, "127.0.0.1")
    assert line["ms"] >= 0


def test_every_line_of_every_log_is_json(instance: Instance, jpeg: bytes) -> None:
    for path in ("/predictions/no%22such%0Amodel", '/"\\/{}', "/predictions/hashtags/9.9"):
        assert post(instance, path, data=jpeg).status_code >= 400
    started = wait_for(
        instance, "worker.log", lambda line: line["message"] == "Torch worker started."
    )
    assert started["logger"] == "MODEL_LOG"
    wait_for(
        instance, "worker.log", lambda line: line["message"].startswith("hashtags 1.0 is ready")
    )
    for log in ("access.log", "server.log"):
        lines(instance, log)


def test_no_log_holds_what_a_caller_sent(
    instance: Instance, picture: Image.Image, encode: Callable[..., bytes]
) -> None:
    good = encode(picture, comment=MARK)
    broken = good[: len(good) // 2] + MARK.encode()
    files = {"image": (f"{MARK}.jpg", good, "image/jpeg")}
    for path in ("/predictions/hashtags", "/explanations/hashtags"):
        assert post(instance, path, files=files).status_code == 200
        for bad in (broken, MARK.encode(), b""):
            assert post(instance, path, data=bad).status_code >= 400
        post(instance, path, json={"image": MARK})
        post(instance, path, data=good, headers={"X-Top-K": MARK, "X-Exclude": MARK})
    wrong = {"Authorization": f"Bearer {MARK}"}
    post(instance, f"/predictions/hashtags?{MARK}", data=good, headers=wrong)
    time.sleep(1)
    held = [MARK, instance.key("inference"), instance.key("management")]
    run = Path(instance.run)
    logs = [*run.glob("logs/*"), run / "console.log"]
    assert {log.name for log in logs} >= {"access.log", "worker.log", "server.log", "console.log"}
    for log in logs:
        text = log.read_text(encoding="utf-8", errors="replace")
        assert not [secret for secret in held if secret in text], log.name


def test_a_photo_that_netty_takes_for_a_form_is_in_no_log(instance: Instance) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    photo = b"JFIF\n\tat %s " + MARK.encode() + b"%GPS=\xff\xd8"
    assert post(instance, "/predictions/hashtags", data=photo, headers=form).status_code == 500
    wait_for(instance, "server.log", lambda line: "DataDecoder" in line.get("traceback", ""))
    logs = (Path(instance.run) / "logs").glob("*.log")
    assert [log.name for log in logs if MARK in log.read_text(errors="replace")] == []
