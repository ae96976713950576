"""What is refused before TorchServe unpacks it, and why."""

import hashlib
import json
import pickle
import re
import stat
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import pytest
import torch

from serving.archive import ArchiveError, check_archive, main
from serving.instance import Instance, StartError

Contents = dict[str, bytes]
Spoil = Callable[[Contents], object]

LINK = "link.json"  # written as a symbolic link


class Canary:
    """A pickle of it makes a file called `canary` wherever it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return open, ("canary", "w")


def pickled() -> bytes:
    return pickle.dumps(Canary())


def zipped_pickle() -> bytes:
    buffer = BytesIO()
    torch.save({"weight": torch.zeros(2)}, buffer)
    return buffer.getvalue()


def read(archive: Path) -> Contents:
    with zipfile.ZipFile(archive) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def write(archive: Path, contents: Mapping[str, bytes], compression: int = 0) -> Path:
    """Pack as build_mar.sh does, and enter it into SHA256SUMS as an operator would by hand."""
    with zipfile.ZipFile(archive, "w", compression) as packed:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = compression
            entry.external_attr = (stat.S_IFLNK if name == LINK else 0) << 16
            with packed.open(entry, "w", force_zip64=True) as file:
                file.write(data)
    return listed(archive)


def listed(archive: Path) -> Path:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (archive.parent / "SHA256SUMS").write_text(f"{digest}  {archive.name}\n")
    return archive


def seal(contents: Contents) -> None:
    """Make the bundle's own checksums fit again."""
    bundle = [
        n
        for n in contents
        if n.endswith((".json", ".safetensors", ".xml", ".bin")) and "/" not in n
    ]
    lines = [f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in bundle]
    contents["SHA256SUMS"] = "".join(lines).encode()


def add(name: str, data: bytes = b"{}") -> Spoil:
    return lambda contents: contents.update({name: data})


def replace(name: str, data: bytes) -> Spoil:
    def spoil(contents: Contents) -> None:
        contents[name] = data
        seal(contents)

    return spoil


def manifest(**fields: str) -> Spoil:
    def spoil(contents: Contents) -> None:
        told = json.loads(contents["MAR-INF/MANIFEST.json"])
        told["model"] |= fields
        contents["MAR-INF/MANIFEST.json"] = json.dumps(told).encode()

    return spoil


def setting(line: str) -> Spoil:
    name = line.split(":")[0]

    def spoil(contents: Contents) -> None:
        text = contents["model-config.yaml"].decode()
        text = re.sub(rf"(?m)^{name}:.*\n", "", text) + line + "\n"
        contents["model-config.yaml"] = text.encode()

    return spoil


def flip_a_bit(contents: Contents) -> None:
    data = bytearray(contents["weights.safetensors"])
    data[-1] ^= 1
    contents["weights.safetensors"] = bytes(data)


KINDS = ("pt", "pth", "bin", "pkl", "pickle", "ckpt", "joblib", "npy", "whl", "so", "jar")
ONLY = "only handler, settings and bundle go in"
SPOILS: dict[str, tuple[Spoil, str]] = {
    **{kind: (add(f"model.{kind}", pickled()), ONLY) for kind in KINDS},
    "pickle-as-weights": (replace("weights.safetensors", pickled()), "not what its name says"),
    "pickle-as-graph": (replace("graph.xml", pickled()), "not what its name says"),
    "other-numbers": (add("weights.bin"), "only handler, settings and bundle go in"),
    "zip-as-weights": (replace("weights.safetensors", zipped_pickle()), "not what its name says"),
    "pickle-as-json": (replace("config.json", pickled()), "not what its name says"),
    "requirements": (add("requirements.txt", b"evil"), ONLY),
    "requirements-below": (add("hashstagram/requirements.txt", b"evil"), ONLY),
    "requirements-by-another-name": (manifest(requirementsFile="config.json"), "MANIFEST"),
    "another-handler": (manifest(handler="hashstagram/evil.py"), "MANIFEST"),
    "handler-of-torchserve": (manifest(handler="image_classifier"), "MANIFEST"),
    "envelope": (manifest(envelope="json"), "MANIFEST"),
    "no-manifest": (lambda c: c.pop("MAR-INF/MANIFEST.json"), "no whole archive"),
    "manifest-of-another-shape": (add("MAR-INF/MANIFEST.json", b"[]"), "no whole archive"),
    "above": (add("../evil.json"), ONLY),
    "above-and-back": (add("hashstagram/../../evil.py"), ONLY),
    "backslashes": (add("..\\evil.json"), ONLY),
    "absolute": (add("/tmp/evil.json"), ONLY),
    "drive": (add("C:evil.json"), ONLY),
    "folder": (add("hashstagram/"), ONLY),
    "line-break": (add("evil.json\n"), ONLY),
    "another-package": (add("torch/__init__.py", b"evil"), ONLY),
    "link": (add(LINK, b"/etc/passwd"), "not a plain file"),
    "a-bit": (flip_a_bit, "weights.safetensors is not the file that SHA256SUMS was made for"),
    "unlisted": (add("other.json"), "lists other files than it holds"),
    "missing": (lambda c: c.pop("weights.safetensors"), "lists other files than it holds"),
    "no-checksums": (lambda c: c.pop("SHA256SUMS"), "no whole archive"),
    "text-setting": (setting('minWorkers: "2"'), "minWorkers .* whole number from 1, not '2'"),
    "no-delay": (setting("maxBatchDelay: 0"), "maxBatchDelay .* whole number from 1, not 0"),
    "fraction": (setting("responseTimeout: 2.5"), "responseTimeout .* not 2.5"),
    "yes": (setting("batchSize: yes"), "batchSize .* not True"),
    "drops-requests": (setting("clientTimeoutInMills: 5"), "clientTimeoutInMills"),
    "misspelt": (setting("minWorker: 2"), "a setting minWorker that we do not use"),
    "no-such-device": (setting("deviceType: tpu"), "cpu or gpu"),
    "no-settings": (add("model-config.yaml", b""), "no whole archive"),
    "no-yaml": (add("model-config.yaml", b"\x80\x04{"), "no whole archive"),
}


@pytest.fixture(scope="session")
def contents(archive: Path) -> Contents:
    return read(archive)


def test_ours_is_sound_and_so_is_one_that_is_packed_again(
    archive: Path, contents: Contents, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_archive(archive)
    check_archive(write(tmp_path / "again.mar", contents))
    assert main([str(archive)]) == 0
    assert "is sound" in capsys.readouterr().out


@pytest.mark.parametrize(("spoil", "message"), SPOILS.values(), ids=SPOILS)
def test_a_spoiled_archive_is_refused_with_the_reason(
    contents: Contents, tmp_path: Path, spoil: Spoil, message: str
) -> None:
    spoilt = dict(contents)
    spoil(spoilt)
    with pytest.raises(ArchiveError, match=rf"^x\.mar is refused: .*({message})"):
        check_archive(write(tmp_path / "x.mar", spoilt))


def test_files_that_only_a_reader_of_the_whole_archive_sees_are_refused(
    contents: Contents, tmp_path: Path
) -> None:
    """The directory at a zip file's end is not what TorchServe goes by."""
    order = {"first": ["evil.py", *contents], "last": [*contents, "evil.py"]}
    for place, names in order.items():
        path = tmp_path / f"{place}.mar"
        with zipfile.ZipFile(path, "w") as packed:
            for name in names:
                with packed.open(zipfile.ZipInfo(name), "w", force_zip64=True) as file:
                    file.write(contents.get(name, b"evil"))
            packed.filelist.remove(packed.getinfo("evil.py"))
            del packed.NameToInfo["evil.py"]
        with pytest.raises(ArchiveError, match="something is hidden"):
            check_archive(listed(path))
    assert b"evil.py" in (tmp_path / "first.mar").read_bytes()


def test_a_file_whose_own_header_differs_from_the_directory_is_refused(
    contents: Contents, tmp_path: Path
) -> None:
    path = write(tmp_path / "x.mar", contents)
    data = bytearray(path.read_bytes())
    data[14] ^= 1  # the first entry's checksum, in front of its name
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="something is hidden"):
        check_archive(listed(path))


def test_two_files_of_one_name_are_refused(contents: Contents, tmp_path: Path) -> None:
    write(tmp_path / "x.mar", contents)
    twice = zipfile.ZipInfo("hashtag_handler.py")
    with zipfile.ZipFile(tmp_path / "x.mar", "a") as packed:
        with pytest.warns(UserWarning, match="Duplicate name"):
            file = packed.open(twice, "w", force_zip64=True)
        file.close()
    with pytest.raises(ArchiveError, match="two files of one name"):
        check_archive(listed(tmp_path / "x.mar"))


def test_a_compressed_archive_is_refused(contents: Contents, tmp_path: Path) -> None:
    """So none grows when it is unpacked."""
    path = write(tmp_path / "x.mar", contents, zipfile.ZIP_DEFLATED)
    with pytest.raises(ArchiveError, match="not stored"):
        check_archive(path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", pickled(), zipped_pickle()])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.mar").write_bytes(data)
    with pytest.raises(ArchiveError, match=r"x\.mar is refused"):
        check_archive(listed(tmp_path / "x.mar"))
    with pytest.raises(ArchiveError, match="refused: it is no whole archive"):
        check_archive(tmp_path / "nowhere.mar")


def test_a_sound_archive_that_nobody_entered_is_refused_until_somebody_does(
    contents: Contents, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "x.mar", contents)
    (tmp_path / "SHA256SUMS").unlink()
    assert main([str(path)]) == 1
    assert "has no hash of x.mar" in capsys.readouterr().err
    assert main(["--trust", str(path)]) == 0
    assert main([str(path)]) == 0
    done = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path, text=True)
    assert done.returncode == 0
    evil = contents["hashtag_handler.py"] + b"print('evil')\n"
    sums = (tmp_path / "SHA256SUMS").read_text()
    write(path, contents | {"hashtag_handler.py": evil})
    (tmp_path / "SHA256SUMS").write_text(sums)
    with pytest.raises(ArchiveError, match=r"another hash than x\.mar"):
        check_archive(path)


def test_an_unsound_archive_cannot_be_entered(contents: Contents, tmp_path: Path) -> None:
    path = write(tmp_path / "x.mar", contents | {"model.pt": pickled()})
    (tmp_path / "SHA256SUMS").write_text("")
    assert main(["--trust", str(path)]) == 1
    assert (tmp_path / "SHA256SUMS").read_text() == ""


def test_an_instance_keeps_the_archive_that_it_has_until_another_is_admitted(
    contents: Contents, tmp_path: Path
) -> None:
    path = write(tmp_path / "x.mar", contents)
    instance = Instance.prepare(path, tmp_path / "run")
    stored = tmp_path / "run" / "store" / "x.mar"
    try:
        first = stored.read_bytes()
        assert first == path.read_bytes()
        sums = (tmp_path / "SHA256SUMS").read_text()
        changed = contents | {"worker.py": b"# new\n"}
        write(tmp_path / "new.mar", changed).replace(path)
        (tmp_path / "SHA256SUMS").write_text(sums)
        with pytest.raises(StartError, match="another hash"):
            instance.admit()
        assert stored.read_bytes() == first
        listed(path)
        instance.admit()
        assert stored.read_bytes() == path.read_bytes() != first
    finally:
        instance.clear()


def test_nothing_starts_with_an_archive_that_is_refused(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "x.mar", contents | {"model.pt": pickled()})
    with pytest.raises(StartError, match=r"x\.mar is refused: .*'model\.pt'"):
        Instance.start(path, tmp_path / "run")
    assert {p.name for p in tmp_path.iterdir()} == {"x.mar", "SHA256SUMS", "run"}  # and no canary
    assert not (tmp_path / "run" / "store").exists()
