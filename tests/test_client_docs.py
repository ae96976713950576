"""docs/client.md's own lines, run as they stand, and what it says of the distribution."""

import base64
import json
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
from tests.conftest import ROOT, clean_environment

PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def respond(path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """What the front answers; under /explanations with a heat map and a neighbour."""
    status, answer = digest(path, body, headers)
    if not path.startswith("/explanations/"):
        return status, answer
    explained = json.loads(answer)
    explained["hashtags"][0]["heat_map"] = base64.b64encode(b"a PNG").decode()
    explained["neighbours"] = [{"id": "weather/1.jpg", "similarity": 0.9}]
    return status, json.dumps(explained).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, jpeg: bytes) -> Iterator[Path]:
    """A folder with photos, beside a running front."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "album").mkdir()
    for name in ("photo.jpg", "album/1.jpg", "album/2.jpg"):
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
    assert (folder / "heat.png").read_bytes() == b"a PNG"


def test_the_table_lists_every_error() -> None:
    errors = {
        name
        for name, value in vars(hashstagram_client).items()
        if isinstance(value, type) and issubclass(value, ClientError)
    }
    listed = set(re.findall(r"^\| `(\w+Error)`", PAGE, flags=re.MULTILINE))
    assert errors - {"AnswerError"} == listed


def test_importing_waits_for_nothing_heavy() -> None:
    heavy = {"requests", "urllib3", "PIL", "numpy", "torch", "wordsegment"}
    code = f"import sys, hashstagram_client; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_it_installs_alone(tmp_path: Path) -> None:
    wanted = [need for need in requires("hashstagram-client") or [] if "extra" not in need]
    assert [re.split(r"\W", need)[0] for need in wanted] == ["requests"]
    EnvBuilder(with_pip=False).create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run([*pip, "install", "-q", str(ROOT / "client")], check=True, capture_output=True)
    listed = subprocess.run([*pip, "list", "--format=json"], check=True, capture_output=True)
    names = {package["name"].lower().replace("_", "-") for package in json.loads(listed.stdout)}
    assert names == {
        *("hashstagram-client", "requests", "urllib3", "idna", "certifi", "charset-normalizer")
    }
    done = subprocess.run([python.parent / "hashstagram", "--help"], capture_output=True, text=True)
    assert "usage: hashstagram" in done.stdout, done.stderr
    code = "import hashstagram_client, pathlib; print(pathlib.Path(hashstagram_client.__file__))"
    where = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True)
    assert Path(where.stdout.strip()).with_name("py.typed").is_file()
