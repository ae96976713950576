"""README's first command, in a copy of the checkout: a server that runs here is left alone."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from hashstagram_client.shrink import smaller
from serving.page import STATIC
from tests.conftest import ROOT, clean_environment, read_json

pytestmark = pytest.mark.serving


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, page_is_built: None) -> Iterator[Path]:
    """What git tracks here, with this environment as its .venv."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
            os.utime(folder / name, (0, 0))  # older than what is installed and built
    shutil.copytree(STATIC, folder / STATIC.relative_to(ROOT))
    (folder / ".venv").symlink_to(Path(sys.prefix))
    (folder / "operator.properties").write_text("job_queue_size=77\n")
    yield folder
    make(folder, "stop")


def make(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, env=clean_environment()
    )


def hashtag_lines(output: str) -> list[tuple[str, float]]:
    lines = re.findall(r"^#(\S+) +(\d\.\d{3})$", output, flags=re.MULTILINE)
    return [(tag, float(score)) for tag, score in lines]


@pytest.fixture(scope="module")
def first(checkout: Path) -> "subprocess.CompletedProcess[str]":
    return make(checkout, "demo")


def test_demo_prints_five_hashtags(first: "subprocess.CompletedProcess[str]") -> None:
    assert first.returncode == 0, first.stderr
    lines = hashtag_lines(first.stdout)
    assert len({tag for tag, _ in lines}) == len(lines) == 5
    assert [score for _, score in lines] == sorted((s for _, s in lines), reverse=True)
    assert "curl" in first.stderr


def test_a_second_demo_uses_the_running_server(
    checkout: Path, first: "subprocess.CompletedProcess[str]", jpeg: bytes
) -> None:
    before = read_json(checkout / ".run" / "server.json")
    (checkout / "my photo.jpg").write_bytes(jpeg)
    again = make(checkout, "demo", "PHOTO=my photo.jpg")
    assert again.returncode == 0, again.stderr
    assert len(hashtag_lines(again.stdout)) == 5
    assert read_json(checkout / ".run" / "server.json") == before


def test_the_server_file_says_where_everything_is(
    checkout: Path, first: "subprocess.CompletedProcess[str]"
) -> None:
    server = json.loads((checkout / ".run" / "server.json").read_text())
    contract = {"model", "inference", "management", "metrics", "front", "web", "key_file"}
    assert contract <= set(server)
    assert Path(server["key_file"]).is_file()


def test_the_page_is_where_the_demo_says(
    checkout: Path, first: "subprocess.CompletedProcess[str]"
) -> None:
    [web] = re.findall(r"The page: (http://127\.0\.0\.1:\d+)", first.stderr)
    assert web == json.loads((checkout / ".run" / "server.json").read_text())["web"]
    page = requests.get(web, timeout=30)
    assert "HashStagram" in page.text
    photo = smaller((checkout / ".run" / "sunset.jpg").read_bytes())  # as small as the demo sent it
    answer = requests.post(
        f"{web}/page/hashtags", photo, headers={"Sec-Fetch-Site": "same-origin"}, timeout=30
    )
    tags = [hashtag["tag"] for hashtag in answer.json()["hashtags"]]
    assert tags[:5] == [tag for tag, _ in hashtag_lines(first.stdout)]
    assert len(tags) == 30


def test_without_npm_the_page_is_left_out_in_one_line(checkout: Path) -> None:
    manifest = checkout / "web" / "static" / ".vite" / "manifest.json"
    aside = manifest.rename(checkout / "manifest.json")
    done = make(checkout, "page", "npm_config_registry=http://127.0.0.1:9")
    assert done.returncode == 0
    assert "the page is left out" in done.stderr
    assert not manifest.exists()
    aside.rename(manifest)


def test_the_operators_lines_come_after_ours_and_count(
    checkout: Path, first: "subprocess.CompletedProcess[str]"
) -> None:
    lines = (checkout / ".run" / "torchserve" / "config.properties").read_text().splitlines()
    sizes = [line for line in lines if line.startswith("job_queue_size=")]
    assert sizes == ["job_queue_size=100", "job_queue_size=77"]


def test_a_photo_that_is_none_fails_with_one_line(
    checkout: Path, first: "subprocess.CompletedProcess[str]"
) -> None:
    for photo, reason in (("README.md", "This is not an image"), ("no.jpg", "there is no file")):
        done = make(checkout, "demo", f"PHOTO={photo}")
        assert done.returncode != 0
        assert f"demo: {reason}" in done.stderr
        assert hashtag_lines(done.stdout) == []


def test_what_the_demo_says_to_try_next_works(
    checkout: Path, first: "subprocess.CompletedProcess[str]"
) -> None:
    commands = first.stderr.split("Next:\n")[1].replace("PHOTO=my.jpg", "PHOTO=.run/sunset.jpg")
    assert commands.count("make demo") == commands.count("curl") == 1
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=checkout,
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"hashtags": [') == 2
    assert len(hashtag_lines(done.stdout)) == 5
    assert done.stdout.strip().splitlines()[-1].count("#") == 5


def test_an_archive_of_another_bundle_is_built_anew(
    checkout: Path, first: "subprocess.CompletedProcess[str]", bundle_dir: Path
) -> None:
    subprocess.run(["./build_mar.sh", bundle_dir], cwd=checkout, check=True, capture_output=True)
    again = make(checkout, "demo")
    assert again.returncode == 0, again.stderr
    assert hashtag_lines(again.stdout) == hashtag_lines(first.stdout)


def test_stop_ends_it_and_may_be_said_twice(
    checkout: Path, first: "subprocess.CompletedProcess[str]"
) -> None:
    web = json.loads((checkout / ".run" / "server.json").read_text())["web"]
    assert "stopped" in make(checkout, "stop").stderr
    assert not (checkout / ".run" / "server.json").exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(web, timeout=5)
    assert "nothing was running" in make(checkout, "stop").stderr


def test_serve_runs_the_front_once_and_demo_uses_it(
    checkout: Path, first: "subprocess.CompletedProcess[str]", nginx_is_here: None
) -> None:
    make(checkout, "stop")
    served = make(checkout, "serve")
    assert served.returncode == 0, served.stdout + served.stderr
    state = json.loads((checkout / ".run" / "server.json").read_text())
    assert state["front"] == state["web"]
    assert f"the page: {state['web']}" in served.stderr
    assert len(state["instances"]) == 2
    assert state["inference"] == state["instances"][0]["inference"] != state["front"]
    assert make(checkout, "serve").returncode == 0
    assert json.loads((checkout / ".run" / "server.json").read_text()) == state
    other = make(checkout, "serve", "KEYS=on")
    assert other.returncode != 0
    assert "make stop first" in other.stderr
    demo = make(checkout, "demo")
    assert hashtag_lines(demo.stdout) == hashtag_lines(first.stdout)
    assert f"is served at {state['front']}" in demo.stderr
    assert "stopped" in make(checkout, "stop").stderr
    assert not Path(state["tmp"]).exists()
