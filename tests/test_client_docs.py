"""docs/client.md's own lines, run as they stand, and what it says of the distribution."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import requires
from pathlib import Path
from venv import EnvBuilder

import pytest

import hashstagram_client
from benchmarks.faults import FaultyServer, digest
from hashstagram_client import ClientError
from hashstagram_client.cli.doctor import PIXEL
from tests.conftest import ROOT, clean_environment

PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
# What is for the operator runs in tests/serving/test_rollout.py, where there are versions to roll.
FOR_ALL = PAGE.partition("## Models")[0]
SNIPPETS = re.findall(r"```python\n(.*?)```", FOR_ALL, flags=re.DOTALL)
LINES = re.findall(r"^hashstagram .*", FOR_ALL, flags=re.MULTILINE)


HEAT = PIXEL  # a PNG file


def respond(path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """What the front answers; under /explanations with a heat map and a neighbour."""
    status, answer = digest(path, body, headers)
    if not path.startswith("/explanations/"):
        return status, answer
    explained = json.loads(answer)
    explained["hashtags"][0]["heat_map"] = base64.b64encode(HEAT).decode()
    explained["neighbours"] = [{"id": "weather/1.jpg", "similarity": 0.9}]
    return status, json.dumps(explained).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, jpeg: bytes) -> Iterator[Path]:
    """A folder with photos, beside a running front."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("album", "more"):
        (folder / name).mkdir()
    for name in ("photo.jpg", "album/1.jpg", "album/2.jpg", "more/3.jpg"):
        (folder / name).write_bytes(jpeg)
    (folder / ".run").mkdir()
    with FaultyServer(respond, share=0).running() as server:
        (folder / ".run" / "server.json").write_text(json.dumps({"front": server.url}))
        yield folder


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_each_snippet_runs(folder: Path, number: int) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SNIPPETS[number]],
        cwd=folder,
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "not now" not in done.stdout


def test_the_snippets_do_what_they_say(folder: Path) -> None:
    assert len((folder / "tags.jsonl").read_text().splitlines()) == 2
    assert (folder / "heat.png").read_bytes() == HEAT


@pytest.mark.parametrize("line", LINES)
def test_each_line_of_the_command_runs(folder: Path, line: str) -> None:
    commands = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        capture_output=True,
        text=True,
        env=clean_environment() | {"PATH": f"{commands}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout or "-o tags" in line


def test_the_table_lists_every_error() -> None:
    errors = {
        name
        for name, value in vars(hashstagram_client).items()
        if isinstance(value, type) and issubclass(value, ClientError)
    }
    listed = set(re.findall(r"^\| `(\w+Error)`", PAGE, flags=re.MULTILINE))
    assert errors - {"AnswerError"} == listed


def test_importing_waits_for_nothing_heavy() -> None:
    heavy = {"requests", "urllib3", "PIL", "numpy", "torch", "wordsegment", "click", "rich"}
    code = f"import sys, hashstagram_client; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_it_installs_alone(tmp_path: Path) -> None:
    wanted = [need for need in requires("hashstagram-client") or [] if "extra" not in need]
    assert {re.split(r"\W", need)[0] for need in wanted} == {"requests", "click", "rich"}
    EnvBuilder(with_pip=False).create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run([*pip, "install", "-q", str(ROOT / "client")], check=True, capture_output=True)
    listed = subprocess.run([*pip, "list", "--format=json"], check=True, capture_output=True)
    names = {package["name"].lower().replace("_", "-") for package in json.loads(listed.stdout)}
    assert names == {
        *("hashstagram-client", "requests", "urllib3", "idna", "certifi", "charset-normalizer"),
        *("click", "rich", "markdown-it-py", "mdurl", "pygments"),
    }
    command = str(python.parent / "hashstagram")
    for arguments, message in (
        (["--help"], "Usage: hashstagram"),
        (["x.jpg", "--write-xmp"], "pip install exiv2"),
        (["explain", "x.jpg", "-o", "y.png"], "pip install pillow"),
    ):
        done = subprocess.run([command, *arguments], capture_output=True, text=True)
        assert message in done.stdout + done.stderr
    code = "import hashstagram_client, pathlib; print(pathlib.Path(hashstagram_client.__file__))"
    where = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True)
    assert Path(where.stdout.strip()).with_name("py.typed").is_file()
