"""The command: what it prints, writes and answers the shell, against a server that answers."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path

import exiv2
import pytest
from PIL import Image

from benchmarks.faults import Answer, FaultyServer, digest, tag_of
from hashstagram_client.cli.command import main
from hashstagram_client.cli.explain import overlay
from hashstagram_client.cli.keywords import KeywordsError, add_keywords, read_keywords
from tests.conftest import clean_environment

Run = Callable[..., "subprocess.CompletedProcess[str]"]
COMMAND = [sys.executable, "-W", "error", "-m", "hashstagram_client.cli"]


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with FaultyServer(digest, share=0).running() as server:
        yield server


@pytest.fixture
def run(server: FaultyServer, tmp_path: Path) -> Run:
    """Call the command in a folder of its own."""

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=clean_environment() | {"HASHSTAGRAM_URL": server.url} | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Ten photos in a folder, of which three are broken, beside what is no photo."""
    album = tmp_path / "album"
    (album / "deep").mkdir(parents=True)
    for number in range(10):
        name = album / ("deep" if number % 2 else "") / f"{number} é.jpg"
        name.write_bytes((b"photo %d" if number > 2 else b"broken %d") % number)
    (album / "notes.txt").write_text("no photo")
    (album / ".hidden.jpg").write_bytes(b"photo")
    return album


def test_json_of_one_photo_is_the_servers_answer_and_nothing_else(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    done = run("a.jpg", "--json")
    answer = json.loads(done.stdout)
    assert answer.keys() == {"model", "version", "request_id", "hashtags", "abstained"}
    assert answer["hashtags"] == [{"tag": tag_of(b"photo"), "score": 1.0}]
    assert (done.returncode, done.stderr) == (0, "")


def test_one_photo(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    tag = tag_of(b"photo")
    assert run("a.jpg").stdout == f"#{tag}  1.000\n"
    assert run("-k", "3", "a.jpg", "--copy-ready").stdout == f"#{tag}\n"
    assert run("tag", "a.jpg", "--camel-case").stdout.lower() == f"#{tag}\n"


def test_an_empty_file_is_named_and_not_sent(
    run: Run, server: FaultyServer, tmp_path: Path
) -> None:
    (tmp_path / "empty.jpg").touch()
    server.tries.clear()
    done = run("empty.jpg")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "hashstagram: empty.jpg: there is nothing in this file (0 bytes)\n"
    assert not server.tries


def test_a_folder_becomes_a_line_each_and_its_errors_come_last(run: Run, album: Path) -> None:
    done = run("album")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(rows) == 7
    for name, tags in rows:
        assert tags == f"#{tag_of((album.parent / name).read_bytes())}"
    assert done.returncode == 1
    errors = done.stderr.splitlines()
    assert len(errors) == 3
    assert all(line.startswith("hashstagram: album") and "not an image" in line for line in errors)
    pattern = run("album/**/*.jpg", "--json")
    assert {json.loads(line)["photo"] for line in pattern.stdout.splitlines()} == {
        str(path.relative_to(album.parent)) for path in album.rglob("[0-9]*.jpg")
    }


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_an_output_file_is_taken_up_where_it_ends(
    run: Run, server: FaultyServer, album: Path, suffix: str
) -> None:
    output = album.parent / f"tags.{suffix}"
    assert run("album", "-o", output.name).returncode == 1
    whole = output.read_text("utf-8").splitlines(keepends=True)
    header = suffix == "csv"
    assert len(whole) == 10 + header
    output.write_text("".join(whole[: 5 + header]) + whole[5 + header][:9], "utf-8")
    server.tries.clear()
    done = run("album", "-o", output.name)
    assert "5 were done before" in done.stderr
    assert len(server.tries) == 5
    assert sorted(names(output)) == sorted(
        str(path.relative_to(album.parent)) for path in album.rglob("[0-9]*.jpg")
    )
    server.tries.clear()
    again = run("album", "-o", output.name)
    assert "0 photos, 10 were done before (3 of them with an error)" in again.stderr
    assert again.returncode == 1
    assert not server.tries


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_rows_are_in_the_folders_order(run: Run, album: Path, suffix: str) -> None:
    def first_ones_last(path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        time.sleep(0.5 / (1 + int(body[-1:])))
        return digest(path, body, headers)

    output = album.parent / f"tags.{suffix}"
    with FaultyServer(first_ones_last, share=0).running() as server:
        run("album", "-o", output.name, HASHSTAGRAM_URL=server.url)
    inside = sorted(album.rglob("[0-9]*.jpg"))
    assert names(output) == [str(path.relative_to(album.parent)) for path in inside]


def names(output: Path) -> list[str]:
    with output.open(encoding="utf-8", newline="") as file:
        if output.suffix == ".csv":
            rows = list(csv.DictReader(file))
            assert sum(row["code"] == "415" for row in rows) == 3
            assert all(row["hashtags"].startswith("#") != bool(row["error"]) for row in rows)
            return [row["photo"] for row in rows]
        return [json.loads(line)["photo"] for line in file]


def test_another_file_is_not_written_to(run: Run, album: Path) -> None:
    (album.parent / "letter.csv").write_text("Dear aunt,\nthank you\n")
    done = run("album", "-o", "letter.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert "something else" in done.stderr
    assert (album.parent / "letter.csv").read_text() == "Dear aunt,\nthank you\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere.jpg"], 1, "nowhere.jpg: No such file"),
        (["."], 1, "no photos there"),
        (["*.jpg"], 1, "no photos there"),
        (["-k", "0", "a.jpg"], 2, "0 is not in the range"),
        (["--nonsense", "a.jpg"], 2, "No such option"),
        (["a.jpg", "--url", "http://127.0.0.1:9"], 3, "Is the server running?"),
        (["a.jpg", "--url", "ftp://127.0.0.1"], 3, "cannot be asked"),
        (["explain", "a.jpg", "-o", "heat.txt"], 2, "ends in .png"),
        (["models", "list"], 3, "no running server"),
        (["models", "rollout", "a.jpg"], 2, "--smoke"),
        (["completion", "dos"], 2, "'dos' is not one of"),
    ],
)
def test_bad_use_is_told_in_words(
    run: Run, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    if "a.jpg" in arguments:
        (tmp_path / "a.jpg").write_bytes(b"photo")
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_the_commands_and_the_exit_codes(run: Run) -> None:
    told = run("--help").stdout
    for word in ("tag", "explain", "models", "doctor", "completion", "Exit codes"):
        assert word in told
    assert run().stdout == told or run().returncode == 2
    assert run("--version").stdout.startswith("hashstagram ")


def test_help_waits_for_nothing_heavy() -> None:
    heavy = {"requests", "urllib3", "PIL", "rich", "exiv2", "numpy", "torch"}
    code = (
        "import sys; from hashstagram_client.cli.command import main; main(['--help']);"
        f"print({heavy} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "set()\n"


def test_the_shell_completes_commands_and_files(run: Run) -> None:
    assert "_HASHSTAGRAM_COMPLETE" in run("completion", "bash").stdout
    asked = {"_HASHSTAGRAM_COMPLETE": "bash_complete", "COMP_CWORD": "1"}
    told = run(COMP_WORDS="hashstagram mo", **asked).stdout.splitlines()
    assert "plain,models" in told
    assert any(line.startswith("file,") for line in told)


def test_a_terminal_that_is_not_utf_8(run: Run, tmp_path: Path) -> None:
    (tmp_path / "é.jpg").write_bytes(b"photo")
    (tmp_path / "b.jpg").write_bytes(b"photo")
    done = run("é.jpg", "b.jpg", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_ctrl_c_ends_it_without_a_traceback(album: Path) -> None:
    with FaultyServer(digest, faults=["stall"], share=1).running() as slow:
        process = subprocess.Popen(
            [*COMMAND, "album", "-o", "tags.csv", "--timeout", "4"],
            cwd=album.parent,
            env=clean_environment() | {"HASHSTAGRAM_URL": slow.url},
            stderr=subprocess.PIPE,
            text=True,
            # Whoever runs the tests in the background has it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while not slow.tries:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert (process.returncode, told.strip()) == (130, "hashstagram: interrupted")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_keywords_are_added_and_the_original_is_kept(
    tmp_path: Path, picture: Image.Image, form: str
) -> None:
    photo = tmp_path / f"é.{form.lower()}"
    picture.save(photo, form)
    assert add_keywords(photo, ["mine", "日の出"]) == ["mine", "日の出"]
    first = photo.read_bytes()
    (tmp_path / f"{photo.name}_original").unlink()
    assert add_keywords(photo, ["MINE", "beach", "beach"]) == ["beach"]
    assert read_keywords(photo) == ["mine", "日の出", "beach"]
    assert (tmp_path / f"{photo.name}_original").read_bytes() == first
    assert add_keywords(photo, ["beach"]) == []
    with Image.open(photo) as written, Image.open(tmp_path / f"{photo.name}_original") as original:
        assert written.tobytes() == original.tobytes()
    assert len(list(tmp_path.iterdir())) == 2
    if form != "WEBP":  # which has no IPTC
        image = exiv2.ImageFactory.open(str(photo))
        image.readMetadata()
        held = [d.toString() for d in image.iptcData() if d.key() == "Iptc.Application2.Keywords"]
        assert held == ["mine", "日の出", "beach"]


def test_what_takes_no_keywords_stays_as_it_is(tmp_path: Path, picture: Image.Image) -> None:
    picture.save(tmp_path / "a.gif")
    (tmp_path / "b.jpg").write_bytes(b"no image")
    for name in ("a.gif", "b.jpg"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(KeywordsError):
            add_keywords(tmp_path / name, ["beach"])
        assert (tmp_path / name).read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_heat_map_lies_over_the_upright_photo(tmp_path: Path) -> None:
    lying = Image.new("L", (40, 20), 200)
    exif = lying.getexif()
    exif[274] = 6  # to be turned by a quarter: 20 wide, 40 high
    lying.save(tmp_path / "a.jpg", exif=exif)
    heat = Image.new("RGBA", (2, 4), (0, 0, 0, 0))
    heat.paste((255, 0, 0, 255), (0, 0, 2, 2))
    buffer = BytesIO()
    heat.save(buffer, "PNG")
    overlay(str(tmp_path / "a.jpg"), buffer.getvalue(), tmp_path / "heat.png")
    with Image.open(tmp_path / "heat.png") as seen:
        assert seen.size == (20, 40)
        assert seen.getpixel((10, 2)) == (255, 0, 0)
        assert seen.getpixel((10, 37)) == (200, 200, 200)


def test_doctor_says_what_to_do(run: Run, server: FaultyServer) -> None:
    well = run("doctor")
    assert well.returncode == 0
    assert {"ok\tready", "ok\tmodel"} <= {
        line[: len("ok\tready")] for line in well.stdout.splitlines()
    }
    away = json.loads(run("doctor", "--json", HASHSTAGRAM_URL="http://127.0.0.1:9").stdout)
    [ready] = [finding for finding in away if finding["what"] == "ready"]
    assert ready["well"] is False
    assert "make demo" in ready["advice"]
    assert run("doctor", "--url", "http://127.0.0.1:9").returncode == 1


def test_a_guessed_address_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hashstagram_client.connection.DEFAULT_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("HASHSTAGRAM_URL", raising=False)
    (tmp_path / "a.jpg").write_bytes(b"photo")
    for arguments, code in ((["a.jpg"], 3), (["doctor"], 1)):
        assert main(arguments) == code
        told = capsys.readouterr()
        assert "The address was guessed" in told.out + told.err
    monkeypatch.setenv("HASHSTAGRAM_URL", "http://127.0.0.1:9")
    assert main(["a.jpg"]) == 3
    assert "was guessed" not in capsys.readouterr().err


def test_the_command_writes_keywords(run: Run, tmp_path: Path, jpeg: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg)
    (tmp_path / "b.gif").write_bytes(b"photo")
    done = run("a.jpg", "b.gif", "--write-xmp")
    assert done.returncode == 1
    assert "b.gif: no keywords written: only JPEG" in done.stderr
    assert read_keywords(tmp_path / "a.jpg") == [tag_of(jpeg)]
    assert (tmp_path / "a.jpg_original").read_bytes() == jpeg
