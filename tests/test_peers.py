import json
import sys
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import psutil
import pytest
import torch
from PIL import Image

from benchmarks.background import BackgroundServer
from benchmarks.peers import photos, workshop, wrk
from benchmarks.peers.__main__ import main, parser, plan_of
from benchmarks.peers.answers import common, same, textbook_answers
from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.peers.comparison import differences
from benchmarks.peers.models import Model
from benchmarks.peers.report import markdown
from benchmarks.peers.results import Cell, Pass, Place, Results, Start, ratios
from benchmarks.peers.service import Service, ServiceError
from benchmarks.peers.setting import Setting
from benchmarks.peers.textbook import Tag, Textbook
from hashstagram.bundle import Bundle
from hashstagram.recommender import Recommender
from serving.instance import free_port

PRINTED = """\
Running 2s test @ http://127.0.0.1:1/predict
figures {"seconds": 2.0, "requests": 110, "status": 10, "socket": 2, "timeout": 1, \
"p50": 20500, "p99": 41000}
"""


def cell(peer: str, rate: float, *, p99: float = 40.0, configuration: str = "2x1") -> Cell:
    return Cell(peer, "alexnet", configuration, 0, 1080, 8, rate, 20.0, p99, 100, 0)


@pytest.fixture
def results() -> Results:
    return Results(
        machine={"processor": "a", "cores": "2", "python": "3", "torch": "2", "system": "Linux"},
        packages={"mosec": ["mosec==0.9.8"]},
        skipped={"ray, alexnet, 2x1": "no answer after 120 s"},
        starts=[Start(name, "alexnet", "2x1", 0, 5.25, 5.0, 900.0) for name in ("mosec", "ours")],
        cells=[
            cell("mosec", 50.0),
            cell("mosec", 60.0, configuration="1x2"),
            cell("litserve", 55.0, p99=30.0),
            cell("ours", 150.0, p99=15.0),
            cell("front", 140.0),
        ],
        passes=[Pass("ours", "alexnet", 8, 3.25)],
    )


def test_wrk_counts_only_good_answers_as_its_rate() -> None:
    load = wrk.Load.parse(PRINTED)
    assert load == wrk.Load(50.0, 20.5, 41.0, 110, 13)


def test_wrk_that_fails_is_told() -> None:
    with pytest.raises(wrk.LoadError, match="unable to connect"):
        wrk.Load.parse("unable to connect to 127.0.0.1:1 Connection refused\n")


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent; every fourth time with an error."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, int]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.headers["X-Kind"], len(body)))
        self.send_response(500 if len(self.seen) % 4 == 0 else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


class EchoServer(BackgroundServer, ThreadingHTTPServer):
    daemon_threads = True


def test_wrk_sends_all_bodies_in_turn_with_the_headers(tmp_path: Path) -> None:
    bodies = [tmp_path / "one", tmp_path / "two"]
    for length, path in enumerate(bodies, start=1000):
        path.write_bytes(b"\0\r\n" + bytes(length))
    with EchoServer(("127.0.0.1", 0), Echo).running() as server:
        target = wrk.Target(f"http://127.0.0.1:{server.server_port}/", bodies, {"X-Kind": "jpeg"})
        try:
            load, seen = target.watched(2, 1, lambda: 7)
        except wrk.LoadError as err:
            pytest.skip(str(err))
    assert seen == 7
    assert set(Echo.seen) == {("jpeg", 1003), ("jpeg", 1004)}
    assert load.requests == pytest.approx(len(Echo.seen), abs=2)
    assert load.errors == pytest.approx(load.requests / 4, abs=2)


def test_wrk_keeps_to_a_rate(tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"photo")
    with EchoServer(("127.0.0.1", 0), Echo).running() as server:
        target = wrk.Target(f"http://127.0.0.1:{server.server_port}/", [body], {})
        try:
            load = target.load(4, 2, rate=25)
        except wrk.LoadError as err:
            pytest.skip(str(err))
    assert load.requests == pytest.approx(50, abs=5)


def test_ours_is_compared_with_the_best_configuration_of_the_best_peer(results: Results) -> None:
    [ratio] = ratios(results)
    assert ratio.place == Place("alexnet", 1080, 8)
    assert (ratio.peer, ratio.rate) == ("mosec", 2.5)
    assert (ratio.p50, ratio.p99) == (1.0, 0.5)  # of the lowest of any peer


def test_results_survive_their_file(results: Results, tmp_path: Path) -> None:
    results.save(tmp_path / "r.json")
    assert Results.load(tmp_path / "r.json") == results


def test_report_has_a_row_for_each_service_and_what_was_left_out(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results.save(tmp_path / "r.json")
    assert main(["--report", str(tmp_path / "r.json")]) == 0
    told = capsys.readouterr().out
    assert told == markdown(results)
    for row in (
        "| Mosec | 60 |",
        "| **HashStagram ÷ best peer** | **2.50** |",
        "| alexnet, 1080 px, c=8 | 20 | 15.0 | 1.00 | 0.50 | 0 |",
        "| alexnet: Mosec | 900 (2x1) | 5.2 | 5.00 |",
        "| alexnet, ours | 3.2 |",
        "- ray, alexnet, 2x1: no answer after 120 s",
    ):
        assert row in told


def test_plot_is_the_same_each_time(results: Results, tmp_path: Path) -> None:
    results.save(tmp_path / "r.json")
    for name in ("one.svg", "two.svg"):
        assert main(["--plot", str(tmp_path / "r.json"), str(tmp_path / name)]) == 0
    one, two = (tmp_path / "one.svg").read_bytes(), (tmp_path / "two.svg").read_bytes()
    assert one == two
    assert one.startswith(b"<?xml")


def test_comparison_tells_how_far_two_campaigns_are_apart(results: Results) -> None:
    slower = replace(results, cells=[*results.cells[:3], cell("ours", 135.0)])
    assert list(differences(results, slower)) == [
        "alexnet, 1080 px, 8 connections: 2.50 and 2.25, -10.0%",
        "median 10.0%, largest 10.0% of 1",
    ]


@pytest.mark.parametrize("width", [640, 1080])
def test_photos_have_the_sizes_of_real_ones(width: int, tmp_path: Path) -> None:
    paths = photos.save_photos(width, tmp_path)
    wanted = {640: 60_000, 1080: 250_000}[width]
    assert len({path.read_bytes() for path in paths}) == photos.COUNT
    for path in paths:
        assert path.stat().st_size == pytest.approx(wanted, rel=0.15)
        with Image.open(path) as image:
            assert image.size == photos.SIZES[width]


def test_photo_on_its_side_is_seen_upright_by_the_textbook(
    bundle_dir: Path, picture: Image.Image
) -> None:
    textbook = Textbook(bundle_dir)
    lying = picture.transpose(Image.Transpose.ROTATE_90)
    upright = textbook.preprocess(photos.jpeg(picture, 95))
    turned = textbook.preprocess(photos.jpeg(lying, 95, on_its_side=True))
    assert torch.allclose(upright, turned, atol=0.2)
    assert not torch.allclose(upright, textbook.preprocess(photos.jpeg(lying, 95)), atol=0.2)


def test_textbook_answers_as_our_recommender_does(bundle: Bundle, bundle_dir: Path) -> None:
    buffer = BytesIO()
    photos.draw(100, 80, 1).save(buffer, "PNG")
    [best] = Recommender(bundle).recommend([buffer.getvalue()])
    [answer] = Textbook(bundle_dir).answer([buffer.getvalue()])
    wanted = [{"tag": hashtag.tag, "score": round(hashtag.score, 4)} for hashtag in best]
    assert same(answer["hashtags"], [Tag(tag=w["tag"], score=w["score"]) for w in wanted])


def test_answers_that_are_all_the_same_prove_nothing(bundle_dir: Path, tmp_path: Path) -> None:
    paths = photos.save_photos(640, tmp_path)
    with pytest.raises(ValueError, match="the same to every photo"):
        textbook_answers(Model("tiny", bundle_dir, bundle_dir, bundle_dir), paths[:1])


def tags(*pairs: tuple[str, float]) -> list[Tag]:
    return [Tag(tag=tag, score=score) for tag, score in pairs]


RIGHT = tags(("a", 0.9), ("b", 0.5), ("c", 0.4999), ("d", 0.2))


@pytest.mark.parametrize(
    ("told", "good"),
    [
        (RIGHT, True),
        (tags(("a", 0.9), ("c", 0.5), ("b", 0.4999), ("d", 0.2)), True),
        (tags(("b", 0.9), ("a", 0.5), ("c", 0.4999), ("d", 0.2)), False),
        (tags(("a", 0.9), ("b", 0.5), ("c", 0.4999), ("d", 0.1)), False),
        (tags(("a", 0.9), ("b", 0.5), ("c", 0.4999), ("x", 0.1999)), True),
        (tags(("x", 0.9), ("b", 0.5), ("c", 0.4999), ("d", 0.2)), False),
        (RIGHT[:3], False),
    ],
    ids=[
        "equal",
        "a tie changes places",
        "no tie does",
        "another score",
        "a tie at the end",
        "another tag",
        "too few",
    ],
)
def test_same_answers_but_for_ties(told: list[Tag], good: bool) -> None:
    assert same(told, RIGHT) is good


def test_common_tags_are_counted_in_any_order() -> None:
    assert common(RIGHT, tags(("d", 0.1), ("x", 0.1), ("a", 0.1))) == 2


def test_quick_plan_is_small_and_the_heavy_model_has_one_photo_size() -> None:
    quick = plan_of(parser().parse_args(["--quick"]), ["everyday"])
    assert (quick.rounds, quick.loads) == (1, {"everyday": [(1080, 8), (4032, 8)]})
    full = plan_of(parser().parse_args([]), ["alexnet", "two_branch"])
    assert len(full.loads["alexnet"]) == 9
    assert full.loads["two_branch"] == [(1080, 1), (1080, 8), (1080, 32)]
    assert {full.configuration(PEERS["mosec"], number) for number in (0, 1)} == {(2, 1), (1, 2)}


def test_slow_service_is_measured_longer() -> None:
    plan = plan_of(parser().parse_args([]), ["alexnet"])
    assert plan.duration(8, 0.0) == 2.0
    assert plan.duration(32, 10.0) == 8.0
    assert plan.duration(32, 1.0) == 15.0


SERVER = """\
import json, os, subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

if len(sys.argv) > 2:
    subprocess.Popen(["sleep", "300"], start_new_session=True)

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"hashtags": [{"tag": os.environ["HOME"], "score": 1.0}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_service_is_found_whole_and_ended_whole(tmp_path: Path) -> None:
    peer = Peer("tiny", "Tiny", ("-c", SERVER.replace("{", "{{").replace("}", "}}"), "{port}", "x"))
    setting = Setting(tmp_path, tmp_path, tmp_path, free_port(20_000), 1, 1)
    with Service.running(peer, Path(sys.executable), setting) as service:
        assert 0 < service.first_answer(b"photo") < 30
        assert service.ask(b"photo") == [{"tag": str(tmp_path), "score": 1.0}]
        family = service.family()
        assert sorted(process.name()[:5] for process in family) == ["pytho", "sleep"]
        assert service.memory() > 5 * 2**20
    assert not any(psutil.pid_exists(process.pid) for process in family)


def test_service_that_ends_says_why(tmp_path: Path) -> None:
    peer = Peer("tiny", "Tiny", ("-c", "print('no such model'); print(';')"))
    setting = Setting(tmp_path, tmp_path, tmp_path, free_port(20_000), 1, 1)
    with (
        Service.running(peer, Path(sys.executable), setting) as service,
        pytest.raises(ServiceError, match="no such model"),
    ):
        service.first_answer(b"photo")


def test_setting_travels_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = Setting(tmp_path / "bundle", tmp_path / "a.mar", tmp_path, 8080, 2, 1)
    for name, value in setting.environment().items():
        monkeypatch.setenv(name, value)
    assert Setting.from_environment() == setting
    assert setting.configuration == "2x1"


def test_form_holds_the_photo_and_triton_answers_are_unpacked(jpeg: bytes) -> None:
    body = PEERS["bentoml"].wrap(jpeg)
    assert jpeg in body
    assert body.endswith(b"--\r\n")
    answer = {"hashtags": [{"tag": "sea", "score": 1.0}]}
    text = json.dumps(answer).encode()
    told = b'{"outputs":[{"name":"answer"}]}' + len(text).to_bytes(4, "little") + text
    assert PEERS["pytriton"].unwrap(told) == answer


def test_packages_that_are_not_there_are_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(workshop.InstallError, match="no-such-package"):
        workshop.install(tmp_path / "venv", str(tmp_path / "no-such-package"))
    python = tmp_path / "venv" / "bin" / "python"
    assert python.exists()
