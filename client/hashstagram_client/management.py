"""ManagementClient: the models of a running server, for its operator."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hashstagram_client.errors import (
    ArchiveRefusedError,
    ConnectionFailedError,
    RequestRefusedError,
    RolloutFailedError,
)
from hashstagram_client.terms import Rollout, Terms
from hashstagram_client.versions import ModelVersion

if TYPE_CHECKING:
    from hashstagram_client.archive import Archive, Shelf
    from hashstagram_client.photo import Photo
    from hashstagram_client.rollout import Report


def _silent(line: str) -> None:
    pass


class ManagementClient:
    """What runs in all instances of a server; a context manager that closes its connections.

    Args:
        url: base URL of one TorchServe's management API; else all instances that the
            .run/server.json in the working directory or above it names.
        token: its management key, for `url`.
        timeout: seconds that one call to an instance may take.

    Raises:
        ConnectionFailedError: no server runs here, and no url was given.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = 60.0
    ) -> None:
        from hashstagram_client.connection import Connection, local_instances
        from hashstagram_client.torchserve import TorchServe

        if url:
            management = Connection(url.rstrip("/"), token, None, None, kind="management")
            self._instances = [TorchServe("torchserve", management, timeout=timeout)]
        else:
            self._instances = [TorchServe.of(facts, timeout) for facts in local_instances()]
        if not self._instances:
            raise ConnectionFailedError(
                "There is no running server in this folder or above it. Go to where it was "
                "started, or start it: make demo, make serve",
                transient=False,
            )

    def __enter__(self) -> "ManagementClient":
        """The client itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections; the client can be used again and opens new ones."""
        for instance in self._instances:
            instance.close()

    def models(self) -> list[ModelVersion]:
        """Every version of every model in every instance."""
        return [version for instance in self._instances for version in instance.models()]

    def describe(self, model: str = "hashtags") -> list[ModelVersion]:
        """A model's versions in every instance, the default first.

        Raises:
            RequestRefusedError: there is no such model (404).
        """
        return [version for instance in self._instances for version in instance.versions(model)]

    def register(
        self, archive: str, model: str = "hashtags", *, timeout: float = 180.0
    ) -> list[ModelVersion]:
        """Load another version beside the default one, and wait until it is ready.

        Args:
            archive: a .mar on this machine that is listed in the SHA256SUMS beside it; or a URL
                that the server's `allowed_urls` lets through, which nobody checks.
            model: the model's name.
            timeout: seconds until its workers have to be ready.

        Raises:
            ArchiveRefusedError: the .mar is none, not listed, or of another model.
            RegistrationOffError: the server registers none.
            RolloutFailedError: it does not load; it is removed again.
        """
        from hashstagram_client.archive import Archive
        from hashstagram_client.rollout import load

        if "://" in archive:
            for instance in self._instances:
                instance.register(model, archive)
            return self.describe(model)
        new = _of_model(Archive.read(Path(archive)), model)
        return [load(instance, new, 1, timeout) for instance in self._instances]

    def scale(self, workers: int, model: str = "hashtags", version: str | None = None) -> None:
        """Have a version run in so many workers, in each instance; they start in their own time.

        A worker that is taken away may take the photos that it holds with it: their callers
        get 500 or 507.

        Raises:
            RequestRefusedError: there is no such model or version (404).
        """
        for instance in self._instances:
            instance.scale(model, version or instance.default(model).version, workers)

    def set_default(self, version: str, model: str = "hashtags") -> None:
        """Have a version answer the requests that name none, in every instance.

        An instance that starts again has the one before: `rollout` sees to that too.

        Raises:
            RequestRefusedError: there is no such model or version (404).
        """
        for instance in self._instances:
            instance.set_default(model, version)

    def unregister(self, version: str, model: str = "hashtags", *, timeout: float = 300.0) -> None:
        """Remove a version from every instance, as soon as nobody waits for its answers.

        Raises:
            RequestRefusedError: it is the default (403), or is not there (404).
            RolloutFailedError: it is asked for all the time, and stays.
        """
        from hashstagram_client.drain import Drain
        from hashstagram_client.rollout import unregister_when_drained

        held = [v for v in self.describe(model) if v.version == version]
        if not held:
            raise RequestRefusedError(
                f"there is no {model} {version}", status=404, kind="ModelVersionNotFoundException"
            )
        if any(v.is_default for v in held):
            raise RequestRefusedError(
                f"{model} {version} is the default: make another one that first",
                status=403,
                kind="InvalidModelVersionException",
            )
        for drain in [Drain(instance, model, version) for instance in self._instances]:
            if not unregister_when_drained(drain, timeout):
                raise RolloutFailedError(
                    f"{model} {version} is asked for all the time in {drain.instance.name}"
                )

    def rollout(
        self,
        model: str,
        archive: str | Path,
        *,
        smoke_photos: "Iterable[Photo]",
        terms: Terms | None = None,
        report: "Report" = _silent,
    ) -> Rollout:
        """Put another version in the place of the one that is served, without losing a request.

        It is loaded beside the old one and asked about the smoke photos; when it lives up to the
        terms it becomes the default, is watched, and is what every later start loads. When the
        old one has answered all that it was asked, it is removed. Whatever fails before that, the
        old version stays or becomes the default again.

        Args:
            model: the model's name.
            archive: the .mar, listed in the SHA256SUMS beside it, of another version.
            smoke_photos: at least one; a dozen or more that are like your callers'. What the old
                version takes for no photo is left out, and reported.
            terms: what the new version has to live up to.
            report: told each step.

        Raises:
            ArchiveRefusedError: the .mar is none, not listed, or of another model.
            OSError: a smoke photo cannot be read.
            RegistrationOffError: the server registers none; nothing has been touched.
            RolloutFailedError: the old version serves as before; the message says why.
        """
        photos = list(smoke_photos)
        if not photos:
            raise RolloutFailedError("a rollout needs smoke photos: a dozen of your callers' kind")
        return self._change(model, Path(archive), photos, terms, report)

    def rollback(
        self, model: str = "hashtags", *, terms: Terms | None = None, report: "Report" = _silent
    ) -> Rollout:
        """Go back to the version that the last rollout replaced, in the same way.

        Its answers are not compared: that they differ may be the reason.

        Raises:
            RolloutFailedError: there was no rollout, or the old version does not work.
        """
        previous = self._shelf().previous
        if not previous.exists():
            raise RolloutFailedError(f"there is nothing to go back to: no {previous}")
        return self._change(model, previous, [], terms, report)

    def _change(
        self,
        model: str,
        archive: Path,
        photos: Sequence["Photo"],
        terms: Terms | None,
        report: "Report",
    ) -> Rollout:
        from hashstagram_client.archive import Archive
        from hashstagram_client.rollout import Change, check_start

        shelf = self._shelf()
        new = _of_model(Archive.read(archive), model)
        old = check_start(self._instances, new)
        return Change(self._instances, new, old, terms or Terms(), report).run(shelf, photos)

    def _shelf(self) -> "Shelf":
        """Where the instances load from; a rollout has to be made beside them."""
        from hashstagram_client.archive import Shelf

        first = self._instances[0]
        stores = [instance.store for instance in self._instances if instance.store]
        if first.archive is None or not stores:
            raise RolloutFailedError(
                "a rollout has to be made on the server's machine, in the folder that it was "
                "started from or below it"
            )
        return Shelf(first.archive, stores)


def _of_model(archive: "Archive", model: str) -> "Archive":
    if archive.model != model:
        raise ArchiveRefusedError(f"{archive.path} is an archive of {archive.model}, not {model}")
    return archive
