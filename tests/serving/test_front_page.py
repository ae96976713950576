"""The page behind nginx: static files, keys, limits; Gunicorn as the supervisor starts it."""

import configparser
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from playwright.sync_api import Browser, expect

from serving import keys
from serving.front import Front
from serving.limits import Limits
from serving.nginx import SYSTEM
from serving.supervisor import NAME
from tests.serving.test_front import Alone, bearer, is_error

pytestmark = pytest.mark.serving

OURS = {"Sec-Fetch-Site": "same-origin"}
GOOD = (
    b'{"model": "m", "version": "1", "request_id": "r", "hashtags": [{"tag": "dog", "score": 0.5}]}'
)


class AloneWithPage(Alone):
    """nginx and Gunicorn, with stand-ins for TorchServe."""

    def __init__(self, front: Front, held: keys.Keys) -> None:
        supervised = configparser.RawConfigParser()
        supervised.read(Path(front.tmp) / NAME)
        program = supervised["program:page"]
        variables = shlex.split(program["environment"].replace(",HASHSTAGRAM", " HASHSTAGRAM"))
        self.keys = held
        with (Path(front.run) / "logs" / "page.log").open("wb") as log:
            self.gunicorn = subprocess.Popen(
                shlex.split(program["command"]),
                cwd=program["directory"],
                env=dict(variable.split("=", 1) for variable in variables) | {"PATH": SYSTEM},
                stdout=log,
                stderr=log,
            )
        super().__init__(front)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not requests.get(self.url, timeout=5).ok:
            time.sleep(0.1)

    def reset(self) -> None:
        super().reset()
        for stand_in in self.stand_ins:
            stand_in.answer = GOOD

    def stop(self) -> None:
        self.gunicorn.terminate()
        self.gunicorn.wait(10)
        super().stop()


@pytest.fixture(scope="module")
def served(
    archive: Path,
    tmp_path_factory: pytest.TempPathFactory,
    nginx_is_here: None,
    page_is_built: None,
) -> Iterator[AloneWithPage]:
    run = tmp_path_factory.mktemp("front")
    held = keys.Keys(run / "keys")
    held.create()
    limits = Limits(explanations_rate=1, explanations_burst=1)
    alone = AloneWithPage(
        Front.prepare(archive, run / "serve", None, held.file, limits, {}, page=True), held
    )
    yield alone
    alone.stop()


@pytest.fixture
def alone(served: AloneWithPage) -> AloneWithPage:
    served.reset()
    return served


def test_the_page_needs_no_key_and_its_photos_do(alone: AloneWithPage) -> None:
    page = requests.get(alone.url, timeout=5)
    assert page.ok
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert "x-request-id" in page.headers
    for path in ("hashtags", "explanations?tag=dog", "preview", "feedback"):
        assert is_error(alone.post(f"/page/{path}", headers=OURS), 401)
    assert alone.asked == []
    key = alone.keys.add("phone")
    answer = alone.post("/page/hashtags", headers=OURS | bearer(key) | {"X-Request-Id": "page.1"})
    assert answer.json()["hashtags"] == [{"tag": "dog", "score": 0.5, "text": "#Dog"}]
    [(_, path, headers, body)] = alone.asked
    assert (path, body) == ("/predictions/hashtags", b"photo")
    assert headers["authorization"] in ("Bearer key-A", "Bearer key_B")
    assert key not in str(headers)
    alone.keys.remove("phone")


def test_other_sites_are_refused_with_a_key_too(alone: AloneWithPage) -> None:
    key = alone.keys.add("desk")
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}):
        answer = alone.post("/page/hashtags", headers=headers | bearer(key))
        assert answer.status_code == answer.json()["code"] == 403
    same = {"Origin": alone.url}
    assert alone.post("/page/hashtags", headers=same | bearer(key)).ok
    alone.keys.remove("desk")


def test_built_files_come_from_nginx_and_stay(alone: AloneWithPage) -> None:
    page = requests.get(alone.url, timeout=5).text
    paths = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    assert len(paths) >= 4
    for path in paths:
        answer = requests.get(alone.url + path, timeout=5)
        assert answer.ok
        assert answer.headers["server"] == "nginx"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert ("max-age=315360000" in answer.headers["cache-control"]) == ("/assets/" in path)
        kind = {"js": "text/javascript", "css": "text/css", "png": "image/png"}
        assert answer.headers["content-type"] == kind[path.rsplit(".", 1)[1]]
        if "/assets/" in path:
            assert answer.headers["content-encoding"] == "gzip"


def test_nothing_beside_the_page_shows(alone: AloneWithPage) -> None:
    for path in ("/page", "/page/", "/page/x", "/static/", "/static/x", "/templates/page.html"):
        assert is_error(requests.get(alone.url + path, timeout=5), 404)
    request = requests.Request("GET", alone.url).prepare()
    request.url = f"{alone.url}/static/../page.py"
    with requests.Session() as session:
        assert is_error(session.send(request, timeout=5), 404)
    for method, path in (("POST", "/"), ("GET", "/page/hashtags"), ("PUT", "/share")):
        refused = requests.request(method, alone.url + path, timeout=5)
        assert is_error(refused, 405)
        assert refused.headers["allow"] == ("GET, HEAD" if path == "/" else "POST")


def test_the_pages_limits_are_the_apis(alone: AloneWithPage) -> None:
    key = alone.keys.add("many")
    answers = [
        alone.post("/page/explanations?tag=dog", headers=OURS | bearer(key)) for _ in range(5)
    ]
    assert [answer.status_code for answer in answers].count(429) >= 2
    large = bytes(alone.front.limits.body + 1)
    assert is_error(alone.post("/page/preview", large, headers=OURS | bearer(key)), 413)
    alone.keys.remove("many")


def test_where_the_page_asks_nobody_else_may(alone: AloneWithPage) -> None:
    config = (Path(alone.front.tmp) / NAME).read_text()
    [asked] = re.findall(r'HASHSTAGRAM_URL="([^"]+)"', config)
    [key] = re.findall(r'HASHSTAGRAM_TOKEN="([^"]+)"', config)
    for headers in ({}, bearer("guess"), bearer(key[:-1])):
        answer = requests.post(f"{asked}/predictions/hashtags", b"x", headers=headers, timeout=5)
        assert answer.status_code == 401
    assert requests.get(f"{asked}/models", headers=bearer(key), timeout=5).status_code == 404
    assert alone.asked == []
    assert key not in str(alone.front.to_json())


@pytest.mark.browser
def test_the_page_asks_for_a_key_once_and_sends_it_itself(
    alone: AloneWithPage, browser: Browser, tmp_path: Path, jpeg: bytes
) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg)
    key = alone.keys.add("browser")
    tab = browser.new_page()
    tab.goto(alone.url)
    tab.set_input_files("input.filepond--browser", tmp_path / "photo.jpg")
    for given in ("wrong", key):
        tab.get_by_label("Key", exact=True).fill(given)
        tab.get_by_role("button", name="Use this key").click()
    expect(tab.locator("#tags .chip")).to_have_text(re.compile("#Dog"), timeout=60_000)
    tab.reload()
    tab.set_input_files("input.filepond--browser", tmp_path / "photo.jpg")
    expect(tab.locator("#tags .chip")).to_have_count(1, timeout=60_000)  # not asked again
    assert tab.context.cookies() == []
    tab.get_by_role("button", name="Forget my key").click()
    tab.set_input_files("input.filepond--browser", tmp_path / "photo.jpg")
    tab.locator("#key-cancel").click()
    expect(tab.locator("#messages")).to_contain_text("asks for a key", timeout=60_000)
    alone.keys.remove("browser")
    tab.close()


def test_another_build_is_served_after_a_reload(front: Front, page_is_built: None) -> None:
    before = psutil.Process(front.pid("page")).children()
    front.supervisor.reload_program("page")
    deadline = time.monotonic() + 30
    while any(child.is_running() for child in before):
        assert requests.get(front.url, timeout=30).ok
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert requests.get(front.url, timeout=30).ok


def test_the_whole_front_serves_the_page(front: Front, page_is_built: None, jpeg: bytes) -> None:
    assert front.to_json()["web"] == front.url
    answer = requests.post(f"{front.url}/page/hashtags", jpeg, headers=OURS, timeout=60)
    assert len(answer.json()["hashtags"]) == 10
    answer = requests.post(f"{front.url}/page/explanations?tag=dog", jpeg, headers=OURS, timeout=60)
    assert answer.json()["heat_map"]
