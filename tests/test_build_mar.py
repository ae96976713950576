import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hashstagram.bundle import Bundle
from tests.conftest import ROOT


def build(
    bundle: Path, mar: Path, *arguments: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [ROOT / "build_mar.sh", bundle, *arguments],
        env=os.environ | {"PYTHON": sys.executable, "MAR": str(mar)} | environment,
        capture_output=True,
        text=True,
        umask=int(environment.get("UMASK", "022"), 8),
    )


@pytest.fixture(scope="module")
def source(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small bundle, among files that do not belong to it."""
    folder = tmp_path_factory.mktemp("source") / "tiny"
    bundle.save(folder)
    (folder / "notes.pkl").write_bytes(b"\x80\x04.")
    (folder / "requirements.txt").write_text("torch\n")
    return folder


@pytest.fixture(scope="module")
def store(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one.mar and two.mar, built of the same bundle in different surroundings."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "elsewhere").mkdir()
    first = build(source, folder / "one.mar", TZ="UTC")
    for path in source.iterdir():
        os.utime(path, (0, 0))
    second = build(
        source,
        folder / "two.mar",
        *("hashtags", "1.0"),
        TZ="Asia/Tokyo",
        UMASK="077",
        TMPDIR=str(folder / "elsewhere"),
    )
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    return folder


def test_the_same_bundle_gives_the_same_bytes(store: Path) -> None:
    one, two = ((store / name).read_bytes() for name in ("one.mar", "two.mar"))
    assert hashlib.sha256(one).digest() == hashlib.sha256(two).digest()
    assert list((store / "elsewhere").iterdir()) == []


def test_the_archive_holds_the_handler_the_bundle_and_nothing_else(store: Path) -> None:
    with zipfile.ZipFile(store / "one.mar") as archive:
        names = set(archive.namelist())
    modules = {path.name for path in (ROOT / "handler").glob("*.py")}
    package = {f"hashstagram/{p.name}" for p in (ROOT / "handler" / "hashstagram").glob("*.py")}
    assert names == package | modules | {
        "MAR-INF/MANIFEST.json",
        "model-config.yaml",
        "weights.safetensors",
        "config.json",
        "index_to_name.json",
        "graph.xml",
        "graph.bin",
        "SHA256SUMS",
    }


def test_another_archive_is_entered_beside_those_that_are_there(
    store: Path, source: Path, tmp_path: Path
) -> None:
    shutil.copytree(store, tmp_path / "store")
    one, two = (tmp_path / "store" / name for name in ("one.mar", "two.mar"))
    done = build(source, one, "pets", "2.1")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(one) as archive:
        model = json.loads(archive.read("MAR-INF/MANIFEST.json"))["model"]
    assert (model["modelName"], model["modelVersion"]) == ("pets", "2.1")
    lines = (tmp_path / "store" / "SHA256SUMS").read_text().splitlines()
    sums = [f"{hashlib.sha256(mar.read_bytes()).hexdigest()}  {mar.name}" for mar in (one, two)]
    assert sorted(lines) == sorted(sums)


def test_the_unpacked_archive_runs_by_itself(store: Path, tmp_path: Path, jpeg: bytes) -> None:
    """The archive's own modules answer, also where no checkout is on the path."""
    with zipfile.ZipFile(store / "two.mar") as archive:
        archive.extractall(tmp_path / "unpacked")
    (tmp_path / "photo.jpg").write_bytes(jpeg)
    script = (
        "import sys\n"
        "sys.path[:] = ['unpacked'] + [p for p in sys.path if p not in ('', *sys.argv[1:])]\n"
        "import hashstagram, hashtag_handler\n"
        "assert 'unpacked' in hashstagram.__file__ + hashtag_handler.__file__\n"
        "from hashstagram.predictor import Predictor\n"
        "photo = open('photo.jpg', 'rb').read()\n"
        "predictor = Predictor.load('unpacked')\n"
        "[scores] = predictor.scores(predictor.preprocess(photo)[None])\n"
        "print(len(predictor.ranking.top(scores)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, ROOT, ROOT / "handler"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.returncode) == ("5\n", 0), done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["a/b"], "the name 'a/b'"), (["hashtags", "one"], "the version 'one'")],
    ids=["name", "version"],
)
def test_bad_arguments_are_refused(
    bundle_dir: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = build(bundle_dir, tmp_path / "x.mar", *arguments)
    assert done.returncode != 0
    assert message in done.stderr
    assert not (tmp_path / "x.mar").exists()


def test_an_incomplete_bundle_is_refused_and_an_older_archive_stays(
    bundle_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.mar").write_text("the one before")
    (bundle_dir / "weights.safetensors").unlink()
    done = build(bundle_dir, tmp_path / "x.mar")
    assert done.returncode != 0
    assert done.stderr.startswith("refused: ")
    assert "no weights.safetensors" in done.stderr
    assert (tmp_path / "x.mar").read_text() == "the one before"


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = build(tmp_path / "nowhere", tmp_path / "x.mar")
    assert done.returncode != 0
    assert "there is no bundle directory" in done.stderr
