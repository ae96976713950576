"""The client against a real TorchServe: through a proxy that fails, and while its keys expire."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event

import pytest
from PIL import Image

from benchmarks.faults import FAULTS, FaultyServer, proxy
from hashstagram_client import (
    HashtagClient,
    Health,
    PhotoTooLargeError,
    UndecodablePhotoError,
    UnsupportedPhotoError,
)
from hashstagram_client.cli.command import main
from serving.instance import Instance

pytestmark = pytest.mark.serving

CALLS = 300
SECONDS = 3  # of a key's life
KEYS = 3  # one after the other


def test_every_call_is_right_although_a_fifth_fails(
    instance: Instance, picture: Image.Image, encode: Callable[..., bytes]
) -> None:
    photos = [encode(picture.rotate(60 * turn)) for turn in range(6)]
    key = instance.key("inference")
    with HashtagClient(instance.inference, key) as direct:
        expected = [direct.recommend(photo).hashtags for photo in photos]
    with (
        FaultyServer(proxy(instance.inference), faults=FAULTS).running() as server,
        HashtagClient(server.url, key, timeout=30) as client,
        ThreadPoolExecutor(16) as pool,
    ):
        outcomes = pool.map(client.recommend, photos * (CALLS // len(photos)))
        answers = [outcome.hashtags for outcome in outcomes]
    assert answers == expected * (CALLS // len(photos))
    assert len(server.tries) == CALLS
    assert CALLS < sum(server.tries.values()) < 1.6 * CALLS


def test_what_torchserve_refuses(instance: Instance, jpeg: bytes) -> None:
    refused = {
        UnsupportedPhotoError: b"hello",
        UndecodablePhotoError: jpeg[: len(jpeg) // 2],
        PhotoTooLargeError: bytes(21_000_000),
    }
    with HashtagClient(instance.inference, instance.key("inference")) as client:
        for error, photo in refused.items():
            with pytest.raises(error):
                client.recommend(photo)


def test_health(instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with HashtagClient(instance.inference, instance.key("inference")) as elsewhere:
        assert elsewhere.health() == Health(ready=True)
    with HashtagClient(instance.inference, "wrong") as stranger:
        assert not stranger.health().ready
    beside(instance, tmp_path, monkeypatch)
    with HashtagClient() as client, HashtagClient(model="other") as other:
        assert client.health() == Health(ready=True)
        assert "other" in other.health().reason


def test_the_operator_beside_a_server(
    instance: Instance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    beside(instance, tmp_path, monkeypatch)
    assert main(["models", "list"]) == 0
    assert capsys.readouterr().out.split("\t")[1:] == [
        *("hashtags", "1.0", "default", "1/1", "yes", "0\n")
    ]
    assert main(["models", "describe", "nothing"]) == 1
    assert "Model not found: nothing" in capsys.readouterr().err
    assert main(["models", "unregister", "hashtags", "1.0"]) == 1
    assert "is the default" in capsys.readouterr().err
    assert main(["models", "rollback"]) == 1
    assert "nothing to go back to" in capsys.readouterr().err
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert f"{instance.inference}, from .run/server.json" in told
    assert "hashtags 1.0, the default: 1 of 1 workers" in told
    whole = json.loads((tmp_path / ".run" / "server.json").read_text())
    dead = asdict(instance) | {"run": "/serve/torchserve-a", "management": "http://127.0.0.1:9"}
    instances = {"instances": [dead, asdict(instance)]}
    (tmp_path / ".run" / "server.json").write_text(json.dumps(whole | instances))
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    name = Path(instance.run).name
    assert f"NO\ttorchserve-a\tdoes not answer; the others serve on: {name}\tit starts" in told
    assert "see /serve/torchserve-a/console.log\n" in told
    assert f"ok\t{name}\thashtags 1.0" in told
    (tmp_path / ".run" / "server.json").write_text(json.dumps(whole))
    Path(instance.key_file).rename(tmp_path / "away")
    try:
        assert main(["doctor"]) == 1
        assert "none to be read" in capsys.readouterr().out
    finally:
        (tmp_path / "away").rename(instance.key_file)


def test_fifty_threads_do_not_notice_that_keys_expire(
    archive: Path, tmp_path: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = Instance.start(
        archive, tmp_path / "run", settings={"token_expiration_min": str(SECONDS / 60)}
    )
    try:
        beside(instance, tmp_path, monkeypatch)
        keys, over = set(), Event()

        def ask() -> int:
            calls = 0
            while not over.wait(0.1):
                assert len(client.recommend(jpeg).hashtags) == 5
                calls += 1
            return calls

        with HashtagClient(timeout=60, retries=0) as client, ThreadPoolExecutor(50) as pool:
            calls = [pool.submit(ask) for _ in range(50)]
            latest = time.monotonic() + 60
            try:
                while len(keys) < KEYS and time.monotonic() < latest:
                    time.sleep(0.2)
                    with suppress(ValueError):  # TorchServe has not written all of it yet
                        held = json.loads(Path(instance.key_file).read_text())
                        keys.add(held["inference"]["key"])
            finally:
                over.set()
            assert min(call.result() for call in calls) >= 1
        assert len(keys) == KEYS
    finally:
        instance.stop()


def beside(instance: Instance, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go where the server file of this instance lies."""
    (folder / ".run").mkdir()
    (folder / ".run" / "server.json").write_text(json.dumps({**asdict(instance), "front": None}))
    monkeypatch.chdir(folder)
    for name in ("HASHSTAGRAM_URL", "HASHSTAGRAM_TOKEN"):
        monkeypatch.delenv(name, raising=False)
