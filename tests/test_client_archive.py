"""Which archives are taken, and what every start loads after one was put on the shelf."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from hashstagram_client import ArchiveRefusedError
from hashstagram_client.archive import MANIFEST, Archive, Shelf, listed


def pack(path: Path, version: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as packed:
        manifest = {"model": {"modelName": "hashtags", "modelVersion": version}}
        packed.writestr(MANIFEST, json.dumps(manifest))
    with (path.parent / "SHA256SUMS").open("a") as sums:
        sums.write(f"{digest(path)}  {path.name}\n")
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Two instances that have loaded 1.0."""
    archive = pack(tmp_path / "model_store" / "hashtags.mar", "1.0")
    stores = [tmp_path / name for name in "ab"]
    for store in stores:
        store.mkdir()
        (store / "hashtags.mar").write_bytes(archive.read_bytes())
    return Shelf(archive, stores)


def loaded(shelf: Shelf) -> list[str]:
    paths = [shelf.archive, *(store / "hashtags.mar" for store in shelf.stores)]
    assert listed(shelf.archive.parent)["hashtags.mar"] == digest(shelf.archive)
    versions = []
    for path in paths:
        with zipfile.ZipFile(path) as packed:
            versions.append(json.loads(packed.read(MANIFEST))["model"]["modelVersion"])
    return versions


def test_forth_and_back(shelf: Shelf, tmp_path: Path) -> None:
    new = Archive.read(pack(tmp_path / "elsewhere" / "new.mar", "2.0"))
    assert (new.model, new.version) == ("hashtags", "2.0")
    shelf.put(new)
    assert loaded(shelf) == ["2.0"] * 3
    shelf.put(Archive.read(shelf.previous))
    assert loaded(shelf) == ["1.0"] * 3
    assert Archive.read(shelf.previous).version == "2.0"
    assert not list(tmp_path.rglob("*.part"))


def test_the_new_one_may_lie_where_the_old_one_was(shelf: Shelf) -> None:
    """As after ./build_mar.sh without MAR; the way back is what the instances had loaded."""
    shelf.put(Archive.read(pack(shelf.archive, "2.0")))
    assert loaded(shelf) == ["2.0"] * 3
    assert Archive.read(shelf.previous).version == "1.0"


def test_a_store_that_cannot_be_written_changes_nothing(shelf: Shelf, tmp_path: Path) -> None:
    new = Archive.read(pack(tmp_path / "elsewhere" / "new.mar", "2.0"))
    (shelf.stores[1] / "hashtags.part").mkdir()
    with pytest.raises(OSError, match=r"hashtags\.part"):
        shelf.put(new)
    assert loaded(shelf) == ["1.0"] * 3
    assert not shelf.previous.exists()


def test_what_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.mar", "2.0")
    read = Archive.read(archive)
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("more", "code")
    with pytest.raises(ArchiveRefusedError, match="has changed"), read.placed(tmp_path):
        pass
    with pytest.raises(ArchiveRefusedError, match=r"does not list x\.mar"):
        Archive.read(archive)
    archive.write_text("no zip file")
    with pytest.raises(ArchiveRefusedError, match="is no archive"):
        Archive.read(archive)
    assert [path.name for path in tmp_path.glob("hashtags*")] == []
