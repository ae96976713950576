"""Connection: where the server is and which token it wants. Argument, environment, key file."""

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import requests

DEFAULT_URL = "http://127.0.0.1:8080"
GUESSED = (
    "The address was guessed: there is no .run/server.json here or above, and no HASHSTAGRAM_URL."
)
RENEWAL = 5.0  # seconds that TorchServe may take over a new key


@dataclass(frozen=True)
class Connection:
    """An address and the way to a token.

    Args:
        url: base URL of what is asked.
        token: a fixed token; None to look into the key file for each new one.
        key_file: TorchServe's key_file.json, when we are beside the server.
        management: base URL of the management API, where new keys are asked for.
        kind: which of TorchServe's keys is wanted.
        guessed: whether nobody named the address: anybody's server may be there.
    """

    url: str
    token: str | None
    key_file: Path | None
    management: str | None
    kind: Literal["inference", "management"] = "inference"
    guessed: bool = False
    _renewing: Lock = field(default_factory=Lock, repr=False, compare=False)

    @classmethod
    def find(cls, url: str | None = None, token: str | None = None) -> "Connection":
        """Fill in what is not given from HASHSTAGRAM_URL, HASHSTAGRAM_TOKEN or .run/server.json.

        The server file is looked for in the working directory and its parents: its front where
        there is one, else TorchServe itself. Its keys are only ever sent to the TorchServe that
        they belong to.
        """
        given = url or os.environ.get("HASHSTAGRAM_URL")
        if given and "://" not in given:
            given = f"http://{given}"
        server = _server_file()
        known = given or server.get("front") or server.get("inference")
        url = (known or DEFAULT_URL).rstrip("/")
        # The keys are TorchServe's; the front has them already and asks for its own, if any.
        keys = server if _same(url, server.get("inference")) else {}
        key_file = keys.get("key_file")
        return cls(
            url=url,
            token=token or os.environ.get("HASHSTAGRAM_TOKEN"),
            key_file=Path(key_file) if key_file else None,
            management=keys.get("management"),
            guessed=not known,
        )

    def management_api(self) -> "Connection | None":
        """The way to the management API, for who stands beside TorchServe."""
        if self.management is None or self.key_file is None:
            return None
        return replace(self, url=self.management, token=None, kind="management")

    def current_token(self) -> str | None:
        """The token as it is now: TorchServe makes new ones at every start."""
        return self.token or self._key(self.kind)

    def renew_token(self, refused: str | None, timeout: float) -> bool:
        """After a token was refused: whether there is another one to try now.

        TorchServe's keys expire. Somebody else may have asked for a new one already; otherwise
        we do, with the key that never expires. The new one only appears in the key file.

        Args:
            refused: the token that the server did not take.
            timeout: seconds that this may take.
        """
        if self.token or self.key_file is None or timeout <= 0:
            return False
        if not self._renewing.acquire(timeout=timeout):  # each new key ends the one before
            return False
        try:
            if self.management and self.current_token() == refused:
                self._ask_for_token(timeout)
            return self.current_token() != refused
        finally:
            self._renewing.release()

    def _ask_for_token(self, timeout: float) -> None:
        with suppress(requests.RequestException):
            requests.get(
                f"{self.management}/token?type={self.kind}",
                headers={"Authorization": f"Bearer {self._key('API')}"},
                timeout=min(timeout, RENEWAL),
            )

    def _key(self, kind: str) -> str | None:
        try:
            keys = json.loads(self.key_file.read_text(encoding="utf-8")) if self.key_file else {}
            return str(keys[kind]["key"])
        except (OSError, ValueError, KeyError):
            return None


def local_instances() -> list[dict[str, Any]]:
    """What the server file says of each TorchServe here; nothing where none runs."""
    server = _server_file()
    alone = [server] if server.get("management") else []
    instances: list[dict[str, Any]] = server.get("instances") or alone
    return instances


def _server_file() -> dict[str, Any]:
    here = Path.cwd()
    for folder in (here, *here.parents):
        path = folder / ".run" / "server.json"
        try:
            server: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return server
    return {}


def _same(one: str, other: str | None) -> bool:
    return other is not None and _plain(one) == _plain(other)


def _plain(url: str) -> str:
    return url.rstrip("/").replace("localhost", "127.0.0.1")
