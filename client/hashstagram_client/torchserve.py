"""TorchServe: one instance of it, its management API and its models, asked past the front."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import requests

from hashstagram_client.connection import Connection
from hashstagram_client.errors import (
    ConnectionFailedError,
    RegistrationOffError,
    RequestRefusedError,
    ServerFailedError,
)
from hashstagram_client.request import post
from hashstagram_client.results import Recommendation
from hashstagram_client.transport import Request, Transport
from hashstagram_client.versions import ModelVersion

RETRIES = 2
SCRAPE = 5.0  # seconds
_COUNTER = re.compile(r"^(ts_inference_requests_total|Requests5XX)\{.*\} (\S+)$", re.MULTILINE)


class TorchServe:
    """One instance.

    Args:
        name: what it is called in results.
        management: the way to its management API.
        inference: the way to its models; None where only the management API is known.
        metrics: base URL of its figures, likewise.
        folder: its run folder, where we stand beside it.
        archive: what it loads when it starts again, likewise.
        timeout: seconds that a call may take.
    """

    def __init__(
        self,
        name: str,
        management: Connection,
        *,
        inference: Connection | None = None,
        metrics: str | None = None,
        folder: Path | None = None,
        archive: Path | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.name = name
        self.folder = folder
        self.archive = archive
        self._metrics = metrics
        self._management = Transport(management, timeout=timeout, retries=RETRIES)
        self._inference = (
            Transport(inference, timeout=timeout, retries=RETRIES) if inference else None
        )

    @classmethod
    def of(cls, facts: Mapping[str, Any], timeout: float) -> "TorchServe":
        """The instance that an entry of the server file is about."""
        inference = Connection(
            facts["inference"], None, Path(facts["key_file"]), facts["management"]
        )
        management = inference.management_api()
        assert management is not None  # there is a key file
        return cls(
            name=Path(facts["run"]).name,
            management=management,
            inference=inference,
            metrics=facts["metrics"],
            folder=Path(facts["run"]),
            archive=Path(facts["archive"]),
            timeout=timeout,
        )

    @property
    def store(self) -> Path | None:
        """The only folder that it takes archives from."""
        return self.folder / "store" if self.folder else None

    def close(self) -> None:
        """Close the connections."""
        self._management.close()
        if self._inference:
            self._inference.close()

    def models(self) -> list[ModelVersion]:
        """Every version of every model."""
        return [version for name in self._names() for version in self.versions(name)]

    def versions(self, model: str) -> list[ModelVersion]:
        """A model's versions, the default first.

        Raises:
            RequestRefusedError: there is no such model (404).
        """
        [default] = self._ask("GET", f"/models/{quote(model)}")
        described = self._ask("GET", f"/models/{quote(model)}/all")
        found = [self._read(each, default["modelVersion"]) for each in described]
        return sorted(found, key=lambda version: not version.is_default)

    def version(self, model: str, version: str) -> ModelVersion | None:
        """One version; None where there is no such."""
        return next((v for v in self.versions(model) if v.version == version), None)

    def default(self, model: str) -> ModelVersion:
        """The version that requests get which name none.

        Raises:
            RequestRefusedError: there is no such model (404).
        """
        [described] = self._ask("GET", f"/models/{quote(model)}")
        return self._read(described, described["modelVersion"])

    def register(self, model: str, url: str) -> None:
        """Have an archive loaded; its worker starts in its own time.

        Raises:
            RegistrationOffError: the server registers none (405).
            RequestRefusedError: no such archive (404), or the version is there already (409).
        """
        # synchronous=true would hold one of TorchServe's network threads for the whole load.
        query = urlencode({"url": url, "model_name": model, "synchronous": "false"})
        try:
            self._ask("POST", f"/models?{query}")
        except RequestRefusedError as err:
            if err.status != 405:
                raise
            raise RegistrationOffError(status=err.status, kind=err.kind) from err

    def scale(self, model: str, version: str, workers: int) -> None:
        """Have a version run in so many workers; they start in their own time."""
        query = urlencode({"min_worker": workers, "max_worker": workers})
        self._ask("PUT", f"/models/{quote(model)}/{quote(version)}?{query}")

    def set_default(self, model: str, version: str) -> None:
        """Have a version answer the requests that name none."""
        self._ask("PUT", f"/models/{quote(model)}/{quote(version)}/set-default")

    def unregister(self, model: str, version: str) -> None:
        """Remove a version, at once: who waits for its answer never gets one."""
        self._ask("DELETE", f"/models/{quote(model)}/{quote(version)}")

    def recommend(self, photo: bytes, model: str, version: str | None = None) -> Recommendation:
        """What a version, or the default, answers for a photo."""
        if self._inference is None:
            raise ConnectionFailedError("only the management API is known", transient=False)
        path = f"/predictions/{quote(model)}" + (f"/{quote(version)}" if version else "")
        answer = self._inference.send(post(path, photo, {}), self._inference.deadline())
        return Recommendation.from_json(answer)

    def counts(self) -> tuple[int, int]:
        """Requests to models, and answers of 5xx, since it started.

        Raises:
            ConnectionFailedError: it does not tell.
        """
        try:
            text = requests.get(f"{self._metrics}/metrics", timeout=SCRAPE).text
        except requests.RequestException as err:
            raise ConnectionFailedError(f"{self.name} shows no metrics") from err
        counted = {"ts_inference_requests_total": 0, "Requests5XX": 0}
        for name, number in _COUNTER.findall(text):
            counted[name] += int(float(number))
        return counted["ts_inference_requests_total"], counted["Requests5XX"]

    def _names(self) -> list[str]:
        answer = self._ask("GET", "/models?limit=1000")
        return [model["modelName"] for model in answer["models"]]

    def _read(self, described: Mapping[str, Any], default: str) -> ModelVersion:
        try:
            return ModelVersion.from_json(described, instance=self.name, default=default)
        except (KeyError, TypeError) as err:
            raise ServerFailedError(
                "the answer is JSON, but none of TorchServe's", status=200, kind="UnknownAnswer"
            ) from err

    def _ask(self, method: str, path: str) -> Any:
        """A question may be asked again, and so may a PUT; POST and DELETE would find it done."""
        ask = self._management.send if method in ("GET", "PUT") else self._management.try_once
        return ask(Request(method, path), self._management.deadline())
