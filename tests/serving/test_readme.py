"""README's own lines, run as they stand."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from serving.instance import Instance
from tests.conftest import ROOT, clean_environment

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)


def block(language: str, word: str) -> str:
    [found] = [text for kind, text in BLOCKS if kind == language and word in text]
    return found


@pytest.fixture
def beside_server(instance: Instance, tmp_path: Path, jpeg: bytes) -> Path:
    """A folder as README's reader has it: photo.jpg and .venv, with the server's addresses."""
    (tmp_path / "photo.jpg").write_bytes(jpeg)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    (tmp_path / ".run").mkdir()
    (tmp_path / ".run" / "server.json").write_text(
        f'{{"inference": "{instance.inference}", "key_file": "{instance.key_file}"}}'
    )
    return tmp_path


@pytest.mark.serving
def test_every_curl_line_answers(beside_server: Path, instance: Instance) -> None:
    lines = block("sh", "curl").splitlines()
    # Here the server is the tests' own, not the checkout's.
    assert [line.split("=")[0] for line in lines[:2]] == ["url", "key"]
    lines[:2] = [f"url={instance.inference}", f"key={instance.key('inference')}"]
    script = "\n".join(lines).replace("curl ", "curl -sS --fail-with-body ")
    done = subprocess.run(
        ["bash", "-euc", script], cwd=beside_server, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('"hashtags": [') == README.count("curl -H")
    counts = [answer.count('"tag"') for answer in done.stdout.split('{"model"')[1:]]
    assert [counts[0], counts[1], counts[3]] == [5, 3, 3]


@pytest.mark.serving
def test_the_python_lines_answer(beside_server: Path) -> None:
    script = block("python", "HashtagClient")
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=beside_server,
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    assert done.stdout.count("#") == 5, done.stderr


@pytest.mark.serving
def test_the_command_line_answers(beside_server: Path) -> None:
    line = block("sh", "--json for the whole answer").split("#")[0]
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=beside_server,
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    assert done.stdout.count("#") == 5, done.stderr


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_commands_that_are_named_exist(capsys: pytest.CaptureFixture[str]) -> None:
    modules = set(re.findall(r"python -m ([\w.]+)", README)) - {"pytest"}
    assert {"training.prepare", "training.train", "training.evaluate"} <= modules
    for module in sorted(modules):
        with pytest.raises(SystemExit) as ended:
            import_module(module).main(["--help"])
        assert ended.value.code == 0
        assert "usage:" in capsys.readouterr().out
