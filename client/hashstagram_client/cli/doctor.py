"""hashstagram doctor: whether all is well between here and the model, and what to do."""

import json
import os
import sys
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from importlib.util import find_spec

import click

from hashstagram_client.cli.command import FAILED
from hashstagram_client.cli.options import json_option, server_options
from hashstagram_client.cli.output import show_rows
from hashstagram_client.client import HashtagClient
from hashstagram_client.connection import GUESSED, Connection, local_instances
from hashstagram_client.errors import ClientError, ConnectionFailedError, UnauthorizedError
from hashstagram_client.torchserve import TorchServe
from hashstagram_client.versions import ModelVersion

INSTANCE = 5.0  # seconds that one may take to tell of its models
SKEW = 60.0  # seconds that two clocks may differ
# One gray pixel, as a PNG file: the smallest photo there is.
PIXEL = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
EXTRAS = {  # of this package: the module, what to install for it, what it is good for
    "shrink": ("PIL", "pillow", "large photos travel smaller"),
    "xmp": ("exiv2", "exiv2", "--write-xmp"),
    "words": ("wordsegment", "wordsegment", "--camel-case tells words apart"),
}


@dataclass(frozen=True)
class Finding:
    """One line.

    Args:
        what: was looked at.
        well: None where it is only told.
        found: what there is.
        advice: what to do where it is not well.
    """

    what: str
    well: bool | None
    found: str
    advice: str = ""


@click.command("doctor")
@json_option
@server_options
def command(as_json: bool, url: str | None, token: str | None, timeout: float) -> int:
    """Is the server up, a key found, the model ready? Each line says what to do if not."""
    findings = list(examine(url, token, timeout))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        marks = {True: "ok", False: "NO", None: ""}
        show_rows(
            ("", "what", "found", "what to do"),
            [(marks[f.well], f.what, f.found, f.advice) for f in findings],
        )
    return FAILED if any(finding.well is False for finding in findings) else 0


def examine(url: str | None, token: str | None, timeout: float) -> Iterator[Finding]:
    """All that is looked at, one after the other."""
    connection = Connection.find(url, token)
    yield Finding(
        "versions",
        None,
        f"client {version('hashstagram-client')}, Python {sys.version.split()[0]}, "
        f"requests {version('requests')}",
    )
    yield _address(connection, url)
    yield _key(connection, token)
    yield from _answers(connection, timeout)
    yield from _instances()
    for extra, (module, package, use) in EXTRAS.items():
        if find_spec(module):
            yield Finding(f"extra {extra}", None, f"{use}: yes")
        else:
            yield Finding(
                f"extra {extra}", None, f"{use}: no", f"pip install {package}, if you like"
            )


def _address(connection: Connection, url: str | None) -> Finding:
    if connection.guessed:
        advice = "go to the folder where the server was started, or give its address with --url"
        return Finding("address", None, f"{connection.url}. {GUESSED}", advice)
    known = "HASHSTAGRAM_URL" if os.environ.get("HASHSTAGRAM_URL") else ".run/server.json"
    return Finding("address", None, f"{connection.url}, from {'--url' if url else known}")


def _key(connection: Connection, token: str | None) -> Finding:
    if token:
        return Finding("key", True, "from --token")
    if connection.token:
        return Finding("key", True, "from HASHSTAGRAM_TOKEN")
    if connection.key_file is None:
        return Finding("key", None, "none, which is well where the server asks for none")
    if connection.current_token():
        return Finding("key", True, f"in {connection.key_file}")
    advice = "call as the user who started the server, or start it again"
    return Finding("key", False, f"none to be read in {connection.key_file}", advice)


def _answers(connection: Connection, timeout: float) -> Iterator[Finding]:
    """Ask whether it is ready, and then for hashtags, as any caller would."""
    with HashtagClient(
        connection.url, connection.token, timeout=min(timeout, 10), retries=1
    ) as client:
        health = client.health()
        advice = "" if health.ready else "make demo or make serve starts it; else wait a minute"
        yield Finding("ready", health.ready, health.reason or "it takes photos", advice)
        if not health.ready:
            return
        try:
            answer = client.recommend(PIXEL)
        except UnauthorizedError:
            advice = "set HASHSTAGRAM_TOKEN to what 'python -m serving.keys add NAME' prints"
            yield Finding("model", False, "the key is missing, wrong or too old", advice)
            return
        except ClientError as err:
            advice = "see worker.log in the logs folder of the server's run folder"
            yield Finding("model", False, str(err), advice)
            return
    yield Finding("model", True, f"{answer.model} {answer.version} answers")
    yield _clock(connection.url)


def _clock(url: str) -> Finding:
    """By the date that the server puts on its answers; TorchServe alone puts none."""
    import requests

    try:
        date = requests.get(f"{url}/healthz", timeout=5).headers.get("Date")
    except requests.RequestException:
        date = None
    if date is None:
        return Finding("clock", None, "the server tells no time")
    skew = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    advice = "set both by NTP: certificates and keys expire by the clock"
    well = abs(skew) <= SKEW
    return Finding("clock", well, f"{abs(skew):.0f} s apart", "" if well else advice)


def _instances() -> Iterator[Finding]:
    """Beside the server, what each of its TorchServes says of its workers."""
    instances = [TorchServe.of(facts, INSTANCE) for facts in local_instances()]
    asked = {instance: _asked(instance) for instance in instances}
    found = [v for answer in asked.values() if isinstance(answer, list) for v in answer]
    serving = sorted({v.instance for v in found if v.ready})
    for instance, answer in asked.items():
        if isinstance(answer, ClientError):
            yield _silent(instance, answer, serving, supervised=len(instances) > 1)
        else:
            yield from map(_version, answer)
    defaults = {v.version for v in found if v.is_default}
    if len(defaults) > 1:
        differ = f"the instances serve {' and '.join(sorted(defaults))}"
        yield Finding("instances", False, differ, "make restart gives all of them the same")


def _asked(instance: TorchServe) -> list[ModelVersion] | ClientError:
    with closing(instance):
        try:
            return instance.models()
        except ClientError as err:
            return err


def _silent(
    instance: TorchServe, err: ClientError, serving: Sequence[str], *, supervised: bool
) -> Finding:
    """An instance that says nothing of its models; the front's are started again when they die."""
    log = f"see {instance.folder}/console.log"
    if not isinstance(err, ConnectionFailedError):
        return Finding(instance.name, False, str(err), log)
    rest = f"; the others serve on: {', '.join(serving)}" if serving else ""
    wait = "it starts again by itself in some seconds; else " if supervised else ""
    return Finding(instance.name, False, f"does not answer{rest}", f"{wait}{log}")


def _version(v: ModelVersion) -> Finding:
    running = sum(worker.ready for worker in v.workers)
    default = ", the default" if v.is_default else ""
    told = f"{v.model} {v.version}{default}: {running} of {v.wanted} workers, {v.queued} queued"
    advice = "" if v.ready else "wait a minute, then see logs/worker.log in its run folder"
    return Finding(v.instance, v.ready, told, advice)
