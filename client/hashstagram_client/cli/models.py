"""hashstagram models: the versions of the model, and another one in their place."""

import json
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click

from hashstagram_client.cli import photos
from hashstagram_client.cli.options import json_option
from hashstagram_client.cli.output import show_rows
from hashstagram_client.errors import RolloutFailedError
from hashstagram_client.management import ManagementClient
from hashstagram_client.terms import Rollout, Terms
from hashstagram_client.versions import ModelVersion

F = TypeVar("F", bound=Callable[..., None])

COLUMNS = ("instance", "model", "version", "", "workers", "ready", "queued")
SMOKE = 50  # photos are enough

model_option = click.option(
    "--model", default="hashtags", show_default=True, help="The model's name."
)


def watch_options(function: F) -> F:
    """How long and how closely a new version is watched."""
    for option in (
        click.option(
            "--max-errors",
            type=click.FloatRange(0, 1),
            default=Terms.error_rate,
            show_default=True,
            help="Share of requests that may fail while it is watched.",
        ),
        click.option(
            "--watch",
            type=click.FloatRange(0),
            default=Terms.watch,
            show_default=True,
            help="Seconds that it is watched before it counts.",
        ),
        click.option(
            "--load-timeout",
            type=click.FloatRange(0),
            default=Terms.load_timeout,
            show_default=True,
            help="Seconds until it has to be ready.",
        ),
    ):
        function = option(function)
    return function


@click.group("models")
def command() -> None:
    """The versions of the model on this machine's server, and another one in their place.

    To be called in the folder where the server was started, or below it.
    """


@command.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """All models in all instances."""
    with ManagementClient() as manager:
        show(manager.models(), as_json)


@command.command()
@click.argument("model", default="hashtags")
@json_option
def describe(model: str, as_json: bool) -> None:
    """A model's versions, their workers, and whether they are ready."""
    with ManagementClient() as manager:
        versions = manager.describe(model)
    show(versions, as_json)
    if not as_json:
        for version in versions:
            pids = ", ".join(str(worker.pid) for worker in version.workers if worker.pid)
            click.echo(
                f"{version.instance} {version.version}: processes {pids or 'none'}; a worker that "
                f"holds photos for longer than {version.response_timeout:g} s is killed",
                err=True,
            )


@command.command()
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--smoke",
    multiple=True,
    required=True,
    type=click.Path(exists=True),
    help="Photos, or folders of some, like your callers'; may be repeated. At most 50 are taken.",
)
@click.option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    default=Terms.agreement,
    show_default=True,
    help="Share of the old version's hashtags that have to stay on the smoke photos.",
)
@click.option(
    "--max-slowdown",
    type=click.FloatRange(0, min_open=True),
    default=Terms.slowdown,
    show_default=True,
    help="How many times as long an answer may take.",
)
@watch_options
@model_option
@json_option
def rollout(
    archive: Path,
    smoke: tuple[str, ...],
    min_agreement: float,
    max_slowdown: float,
    watch: float,
    load_timeout: float,
    max_errors: float,
    model: str,
    as_json: bool,
) -> None:
    """Put another version in the place of the one that is served, without losing a request.

    Build it under a name and version of its own:
    MAR=model_store/hashtags-2.0.mar ./build_mar.sh BUNDLE hashtags 2.0.
    If it does not load, disagrees, is slow or fails, the old one serves on.
    """
    terms = Terms(min_agreement, max_slowdown, max_errors, watch, load_timeout)
    smoke_photos = photos.find(smoke)[:SMOKE]
    with ManagementClient() as manager:
        _stop_in_order()
        done = manager.rollout(
            model, archive, smoke_photos=smoke_photos, terms=terms, report=_say(as_json)
        )
    _conclude(done, as_json)


@command.command()
@watch_options
@model_option
@json_option
def rollback(
    watch: float, load_timeout: float, max_errors: float, model: str, as_json: bool
) -> None:
    """Go back to the version before the last rollout, without losing a request."""
    terms = Terms(error_rate=max_errors, watch=watch, load_timeout=load_timeout)
    with ManagementClient() as manager:
        _stop_in_order()
        done = manager.rollback(model, terms=terms, report=_say(as_json))
    _conclude(done, as_json)


@command.command()
@click.argument("workers", type=click.IntRange(1))
@model_option
@click.option("--version", help="Else the default one.")
def scale(workers: int, model: str, version: str | None) -> None:
    """Have so many workers in each instance; fewer may cost the photos that some hold."""
    with ManagementClient() as manager:
        manager.scale(workers, model, version)
    click.echo(f"{workers} workers in each instance are on their way", err=True)


@command.command()
@click.argument("model")
@click.argument("version")
def unregister(model: str, version: str) -> None:
    """Remove a version that is not the default, as soon as nobody waits for it."""
    with ManagementClient() as manager:
        manager.unregister(version, model)


def show(versions: Sequence[ModelVersion], as_json: bool) -> None:
    """A row each."""
    if as_json:
        click.echo(json.dumps([{**asdict(v), "ready": v.ready} for v in versions]))
    else:
        show_rows(COLUMNS, _rows(versions))


def _rows(versions: Iterable[ModelVersion]) -> Iterable[Sequence[str]]:
    for v in versions:
        running = sum(worker.ready for worker in v.workers)
        yield (
            *(v.instance, v.model, v.version, "default" if v.is_default else ""),
            *(f"{running}/{v.wanted}", "yes" if v.ready else "no", str(v.queued)),
        )


def _say(as_json: bool) -> Callable[[str], None]:
    """Steps go to stderr; who wants JSON gets nothing else."""
    return (lambda line: None) if as_json else (lambda line: click.echo(line, err=True))


def _stop_in_order() -> None:
    """A service manager's SIGTERM goes back to the old version, as Ctrl-C does."""

    def stop(*_: object) -> None:
        raise RolloutFailedError("it was ended")

    signal.signal(signal.SIGTERM, stop)


def _conclude(done: Rollout, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    click.echo(
        f"{done.model} {done.new} serves in the place of {done.old}, after {done.seconds:.0f} s; "
        f"{done.requests} requests came meanwhile, {done.errors} failed"
    )
    for instance in done.left:
        click.echo(
            f"{done.old} is still asked for in {instance} and stays registered; later: "
            f"hashstagram models unregister {done.model} {done.old}",
            err=True,
        )
