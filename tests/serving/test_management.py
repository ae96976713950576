"""What the management API does for somebody who holds its key, when an operator has turned it on.

Beside each test of ours stands TorchServe as it comes, where it does worse.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from hashstagram_client import HashtagClient
from serving.archive import admit
from serving.instance import Instance
from tests.serving.test_archive import Contents, flip_a_bit, manifest, write
from tests.serving.test_archive import contents as contents

pytestmark = pytest.mark.serving

API = {"enable_model_api": "true"}
STOCK = API | {"allowed_urls": "file://.*|http(s)?://.*"}  # its default


class Listener(ThreadingHTTPServer):
    """A web server that counts who comes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self.connections = 0

    def verify_request(self, *_: object) -> bool:
        self.connections += 1
        return True


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def managed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    instance = Instance.start(archive, tmp_path_factory.mktemp("managed") / "ts", settings=API)
    yield instance
    instance.stop()


def call(instance: Instance, method: str, path: str, **query: str) -> requests.Response:
    return requests.request(
        method,
        f"{instance.management}/models{path}",
        params=query,
        headers={"Authorization": f"Bearer {instance.key('management')}"},
        timeout=60,
    )


def names(instance: Instance) -> set[str]:
    return {model["modelName"] for model in call(instance, "GET", "").json()["models"]}


def urls(port: int, folder: Path) -> list[str]:
    (folder / "secret.mar").write_text("not for the store")
    return [
        f"http://127.0.0.1:{port}/x.mar",
        f"http://localhost:{port}/x.mar",
        f"HTTP://127.0.0.1:{port}/x.mar",
        f"https://127.0.0.1:{port}/x.mar",
        f"ftp://127.0.0.1:{port}/x.mar",
        f"jar:http://127.0.0.1:{port}/x.mar!/x",
        "http://169.254.169.254/latest/meta-data",
        "https://models.invalid/x.mar",
        "s3://bucket/x.mar",
        "file:///etc/passwd",
        f"file://{folder}/secret.mar",
        f"{folder}/secret.mar",
        "../config.properties",
        "..%2fconfig.properties",
        "%2e%2e/config.properties",
        "hashtags/../../config.properties",
        "link.mar",  # lies in model_store
        ".",
    ]


def test_no_url_is_fetched_and_no_path_leaves_the_store(
    managed: Instance, archive: Path, listener: Listener, tmp_path: Path
) -> None:
    store = Path(managed.run) / "store"
    before = {path.name for path in store.iterdir()}
    link = archive.parent / "link.mar"
    link.symlink_to(tmp_path / "secret.mar")
    try:
        for url in urls(listener.server_port, tmp_path):
            answer = call(managed, "POST", "", url=url, model_name="evil")
            assert answer.status_code >= 400, (url, answer.text)
    finally:
        link.unlink()
    assert listener.connections == 0
    assert {path.name for path in store.iterdir()} == before == {"hashtags.mar"}
    assert names(managed) == {"hashtags"}


def test_stock_settings_fetch_anything(archive: Path, listener: Listener, tmp_path: Path) -> None:
    instance = Instance.start(archive, tmp_path / "ts", settings=STOCK)
    try:
        for url in urls(listener.server_port, tmp_path):
            if "169.254" not in url and "invalid" not in url:  # no strangers are asked here
                call(instance, "POST", "", url=url, model_name="evil")
        stored = {path.name for path in (tmp_path / "ts" / "store").iterdir()}
    finally:
        instance.stop()
    assert listener.connections > 0
    assert {"passwd", "secret.mar"} <= stored


def test_by_default_nothing_is_registered_or_removed(instance: Instance) -> None:
    assert call(instance, "POST", "", url="hashtags.mar", model_name="more").status_code == 405
    assert call(instance, "DELETE", "/hashtags").status_code == 405
    assert names(instance) == {"hashtags"}


def no_such_threads(contents: Contents) -> None:
    """PyTorch raises RuntimeError, after which TorchServe forgets to withdraw a model."""
    settings = contents["model-config.yaml"]
    contents["model-config.yaml"] = settings.replace(b"threads: 0", b"threads: -1")


@pytest.mark.parametrize("spoil", [flip_a_bit, no_such_threads])
def test_a_version_that_does_not_load_leaves_nothing_behind(
    managed: Instance, contents: Contents, tmp_path: Path, spoil: Callable[[Contents], None]
) -> None:
    spoilt = dict(contents)
    spoil(spoilt)
    assert spoilt != contents
    register_unchecked(managed, spoilt, tmp_path)
    assert names(managed) == {"hashtags"}
    log = (Path(managed.run) / "logs" / "worker.log").read_text()
    assert "ValueError: hashtags 1.0 does not load: " in log


def test_a_stock_handler_that_fails_stays_registered_without_a_worker(
    managed: Instance, contents: Contents, tmp_path: Path
) -> None:
    handler = (
        b"class Handler:\n"
        b"    def initialize(self, context):\n"
        b"        raise RuntimeError('no weights')\n"
        b"    def handle(self, data, context):\n"
        b"        return data\n"
    )
    for _ in range(3):  # on a busy machine TorchServe has been seen to withdraw it all the same
        register_unchecked(managed, contents | {"hashtag_handler.py": handler}, tmp_path)
        if "broken" in names(managed):
            break
    assert names(managed) == {"hashtags", "broken"}
    assert call(managed, "GET", "/broken").json()[0]["workers"] == []
    assert call(managed, "DELETE", "/broken").status_code == 200


def register_unchecked(instance: Instance, contents: Contents, folder: Path) -> None:
    """Past `admit`, straight into the store; it has to fail."""
    write(folder / "broken.mar", contents).replace(Path(instance.run) / "store" / "broken.mar")
    answer = call(instance, "POST", "", url="broken.mar", model_name="broken")
    assert answer.status_code == 500, answer.text


@pytest.fixture
def second(managed: Instance, contents: Contents, tmp_path: Path) -> Iterator[None]:
    """Version 2.0 beside 1.0, admitted and registered without holding up anybody."""
    two = dict(contents)
    manifest(modelVersion="2.0")(two)
    write(tmp_path / "two.mar", two)
    admit(tmp_path / "two.mar", Path(managed.run) / "store")
    query = {"url": "two.mar", "model_name": "hashtags", "synchronous": "false"}
    assert call(managed, "POST", "", **query).status_code == 202
    wait_until(lambda: statuses(managed) == ["READY"])
    yield
    call(managed, "PUT", "/hashtags/1.0/set-default")
    call(managed, "DELETE", "/hashtags/2.0")
    (Path(managed.run) / "store" / "two.mar").unlink()


def statuses(instance: Instance) -> list[str]:
    answer = call(instance, "GET", "/hashtags/2.0")
    models: Any = answer.json() if answer.ok else [{"workers": []}]
    return [worker["status"] for worker in models[0]["workers"]]


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.usefixtures("second")
def test_versions_change_forth_and_back_under_load(managed: Instance, jpeg: bytes) -> None:
    def ask(_: int) -> str:
        return client.recommend(jpeg).version

    with (
        HashtagClient(managed.inference, managed.key("inference")) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        seen = []
        for version in ("1.0", "2.0", "1.0"):
            assert call(managed, "PUT", f"/hashtags/{version}/set-default").status_code == 200
            seen.append(set(pool.map(ask, range(8))))
    assert seen == [{"1.0"}, {"2.0"}, {"1.0"}]


@pytest.mark.usefixtures("second")
def test_removing_a_version_loses_what_it_has_queued(managed: Instance, slow_photo: bytes) -> None:
    """TorchServe's, which nobody can mend from outside: docs/security.md says to drain first."""

    def ask(_: int) -> int:
        try:
            return requests.post(
                f"{managed.inference}/predictions/hashtags/2.0",
                data=slow_photo,
                headers={"Authorization": f"Bearer {managed.key('inference')}"},
                timeout=5,
            ).status_code
        except requests.RequestException:
            return 0

    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask, number) for number in range(20)]
        wait_until(lambda: pending(managed) > 4)
        assert call(managed, "DELETE", "/hashtags/2.0").status_code == 200
        assert 0 in {answer.result() for answer in asked}


def pending(instance: Instance) -> int:
    model = call(instance, "GET", "/hashtags/2.0").json()[0]
    return int(model["jobQueueStatus"]["pendingRequests"])
