"""Catalogue: the servers that are compared, how each is installed, and what it is asked."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_FORM = "----hashstagram"


def _unchanged(photo: bytes) -> bytes:
    return photo


def _as_form(photo: bytes) -> bytes:
    """A form with one file, called images."""
    disposition = 'Content-Disposition: form-data; name="images"; filename="photo.jpg"'
    head = f"--{_FORM}\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n"
    return head.encode() + photo + f"\r\n--{_FORM}--\r\n".encode()


def _first(body: bytes) -> Any:
    return json.loads(body)[0]


def _tensor(body: bytes) -> Any:
    """Triton's JSON, then the length of the only text in the tensor in four bytes, then that."""
    _, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    return json.loads(body[end + 4 :])


@dataclass(frozen=True, eq=False)  # two of them differ by name alone
class Peer:
    """A server.

    Args:
        name: on the command line; also the folder of its packages.
        title: in tables.
        command: what its Python is told, where {port} and {workers} are filled in.
        packages: pinned, installed into a virtual environment of its own; none for ours.
        path: of its URL.
        headers: of a request.
        wrap: a photo to a request's body.
        unwrap: an answer's body to {"hashtags": [{"tag", "score"}]}.
        quick: the better of CONFIGURATIONS for small models, which --quick uses.
        environment: variables of its own, such as those that turn its telemetry off.
    """

    name: str
    title: str
    command: tuple[str, ...]
    packages: tuple[str, ...] = ()
    path: str = "/predict"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "image/jpeg"})
    wrap: Callable[[bytes], bytes] = _unchanged
    unwrap: Callable[[bytes], Any] = json.loads
    quick: tuple[int, int] = (2, 1)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether it runs our handler; the others are what it is compared with."""
        return self.name in ("ours", "front")


_SERVICES = "benchmarks.peers.services."
_UVICORN = ("fastapi==0.163.2", "uvicorn[standard]==0.54.0")


def _uvicorn(module: str) -> tuple[str, ...]:
    options = ("--port", "{port}", "--workers", "{workers}", "--log-level", "warning")
    return ("-m", "uvicorn", f"{_SERVICES}{module}:app", *options)


def _gunicorn(module: str) -> tuple[str, ...]:
    options = ("--bind", "127.0.0.1:{port}", "--workers", "{workers}", "--timeout", "300")
    return ("-m", "gunicorn", f"{_SERVICES}{module}:app", "--worker-class", "gthread", *options)


def _bentoml(module: str) -> tuple[str, ...]:
    options = ("--host", "127.0.0.1", "--port", "{port}")
    return ("-m", "bentoml", "serve", f"{_SERVICES}{module}:Hashtags", *options)


def _module(module: str) -> tuple[str, ...]:
    return ("-m", _SERVICES + module)


PEERS = {
    peer.name: peer
    for peer in (
        Peer("fastapi", "FastAPI + uvicorn", _uvicorn("fastapi_plain"), _UVICORN),
        Peer(
            "batched",
            "FastAPI + dynamic batching",
            _uvicorn("fastapi_batched"),
            (*_UVICORN, "batched==0.1.5"),
        ),
        Peer(
            "flask",
            "Flask + Gunicorn",
            _gunicorn("flask_gunicorn"),
            ("flask==3.1.3", "gunicorn==27.0.1"),
        ),
        Peer("litserve", "LitServe", _module("lit"), ("litserve==0.2.19",)),
        Peer(
            "bentoml",
            "BentoML",
            _bentoml("bento"),
            ("bentoml==1.4.40",),
            headers={"Content-Type": f"multipart/form-data; boundary={_FORM}"},
            wrap=_as_form,
            unwrap=_first,
            environment={"BENTOML_DO_NOT_TRACK": "True"},
        ),
        Peer(
            "ray",
            "Ray Serve",
            _module("ray_serve"),
            ("ray[serve]==2.60.0",),
            environment={"RAY_USAGE_STATS_ENABLED": "0"},
        ),
        Peer("mosec", "Mosec", _module("mosec_server"), ("mosec==0.9.8",), path="/inference"),
        Peer(
            "pytriton",
            "PyTriton",
            _module("triton"),
            ("nvidia-pytriton==0.7.0",),
            path="/v2/models/hashtags/infer",
            headers={
                "Content-Type": "application/octet-stream",
                "Inference-Header-Content-Length": "0",  # the body is one raw tensor
            },
            unwrap=_tensor,
            quick=(1, 2),
            # Its shared memory needs the very standard library that its wheel was built with.
            environment={"PYTRITON_NO_TENSORSTORE": "1"},
        ),
        Peer(
            "torchserve",
            "TorchServe, textbook handler",
            _module("torchserve_textbook"),
            path="/predictions/hashtags",
        ),
        Peer("ours", "HashStagram", _module("ours"), path="/predictions/hashtags", quick=(1, 2)),
        Peer(
            "front",
            "HashStagram, front",
            _module("front"),
            path="/predictions/hashtags",
            quick=(4, 1),
        ),
    )
}
CONFIGURATIONS = ((2, 1), (1, 2))  # workers and the threads of each, for two cores
