"""hashstagram PHOTO …: hashtags for one photo, or for whole folders."""

import json
import sys
from collections.abc import Generator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from hashstagram_client.batch import Outcome
from hashstagram_client.cli import keywords, photos
from hashstagram_client.cli.command import FAILED
from hashstagram_client.cli.options import json_option, server_options, top_option
from hashstagram_client.cli.output import progress_bar, show_hashtags
from hashstagram_client.client import HashtagClient
from hashstagram_client.errors import ConnectionFailedError, RequestRefusedError
from hashstagram_client.record import FINAL, Record
from hashstagram_client.results import Recommendation

RETRIES = 3  # for one photo: a server that is not there shall be reported in a second
LISTED = 20  # errors at the end; the output file has all of them
GONE = 20  # photos one after the other without a server: it makes no sense to go on


@dataclass(frozen=True)
class Form:
    """How a recommendation is shown.

    Args:
        as_json: the server's answer.
        copy_ready: the text that goes under a post.
        camel_case: the same for screen readers.
    """

    as_json: bool
    copy_ready: bool
    camel_case: bool

    def text(self, recommendation: Recommendation) -> str:
        """A line to copy."""
        return recommendation.camel_case if self.camel_case else recommendation.text

    def show_one(self, recommendation: Recommendation) -> None:
        """The only photo's."""
        if self.as_json:
            click.echo(json.dumps(recommendation.to_json()))
        elif self.copy_ready or self.camel_case:
            click.echo(self.text(recommendation))
        else:
            show_hashtags(recommendation.hashtags)
            if recommendation.abstained:
                click.echo("These are guesses: no hashtag fits well.", err=True)

    def show(self, outcome: Outcome) -> None:
        """One of several photos'."""
        if self.as_json:
            click.echo(json.dumps(outcome.to_json()))
        elif outcome.recommendation and (self.copy_ready or self.camel_case):
            click.echo(self.text(outcome.recommendation))
        elif outcome.recommendation:
            click.echo(f"{outcome.photo!s}\t{outcome.recommendation.text}")


@dataclass
class Errors:
    """What went wrong with which photo."""

    lines: list[str] = field(default_factory=list)

    def add(self, photo: Any, reason: object) -> None:
        """Note one."""
        self.lines.append(f"{photo}: {reason}")

    def show(self) -> None:
        """List the first of them."""
        for line in self.lines[:LISTED]:
            click.echo(f"hashstagram: {line}", err=True)
        if len(self.lines) > LISTED:
            click.echo(f"hashstagram: … and {len(self.lines) - LISTED} more", err=True)


@click.command("tag")
@click.argument("photo", nargs=-1, required=True, type=click.Path())
@top_option
@click.option("--threshold", type=click.FloatRange(0, 1), help="Leave out lower scores.")
@click.option("--exclude", multiple=True, metavar="TAG", help="Never this one; * and ? work.")
@click.option("--include", multiple=True, metavar="TAG", help="Only such ones; * and ? work.")
@json_option
@click.option("--copy-ready", is_flag=True, help="Only the text that goes under a post.")
@click.option("--camel-case", is_flag=True, help="The same for screen readers: #GoldenRetriever.")
@click.option("--write-xmp", is_flag=True, help="Add the tags to the files' keywords.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A .csv or .jsonl file; started again, only what is left is done.",
)
@click.option(
    "-c",
    "--concurrency",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Photos under way at a time.",
)
@click.option("--shrink/--no-shrink", default=True, help="Large photos travel smaller (default).")
@server_options
def command(
    photo: tuple[str, ...],
    top: int,
    threshold: float | None,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    as_json: bool,
    copy_ready: bool,
    camel_case: bool,
    write_xmp: bool,
    output: Path | None,
    concurrency: int,
    shrink: bool,
    url: str | None,
    token: str | None,
    timeout: float,
) -> int:
    """Hashtags for photos: files, folders, patterns in quotes, or URLs.

    One photo gets a table, several get a line each. --write-xmp adds the tags to the keywords of
    JPEG, PNG, TIFF and WebP files; what they were before stays beside them as NAME_original.
    """
    if write_xmp:
        keywords.check_installed()
    form = Form(as_json, copy_ready, camel_case)
    options: dict[str, Any] = {
        "k": top,
        "threshold": threshold,
        "exclude": exclude,
        "include": include,
    }
    if len(photo) == 1 and photos.is_one_photo(photo[0]) and output is None:
        with HashtagClient(url, token, timeout=timeout, retries=RETRIES, shrink=shrink) as client:
            return tag_one(photo[0], client, options, form, write_xmp)
    found = photos.find(photo)
    if not found:
        raise FileNotFoundError(2, "no photos there", " ".join(photo))
    with (
        HashtagClient(url, token, timeout=timeout, shrink=shrink) as client,
        open_record(output) if output else nullcontext() as record,
    ):
        # Refused by an earlier run: they are not asked for again.
        refused = sum(map(record.has_refused, found)) if record else 0
        outcomes = client.recommend_many(
            found, concurrency=concurrency, ordered=True, output=record, **options
        )
        return tag_many(found, outcomes, form, output, write_xmp, refused)


def tag_one(
    photo: str, client: HashtagClient, options: dict[str, Any], form: Form, write_xmp: bool
) -> int:
    """Show the only photo's hashtags; the exit code.

    Raises:
        click.ClickException: the photo is refused.
    """
    try:
        recommendation = client.recommend(photo, **options)
    except RequestRefusedError as err:
        if err.status not in FINAL:
            raise
        raise click.ClickException(f"{photo}: {err}") from err
    form.show_one(recommendation)
    errors = Errors()
    if write_xmp:
        write_keywords(photo, recommendation, errors)
    errors.show()
    return FAILED if errors.lines else 0


def open_record(output: Path) -> Record:
    """The output file with what it holds.

    Raises:
        click.UsageError: it holds something else.
    """
    try:
        return Record(output)
    except ValueError as err:
        raise click.UsageError(f"{output}: {err}") from err


def tag_many(
    found: Sequence[str],
    outcomes: Generator[Outcome, None, None],
    form: Form,
    output: Path | None,
    write_xmp: bool,
    refused: int,
) -> int:
    """Show or write down each outcome, and the errors at the end; the exit code."""
    errors, done, gone = Errors(), 0, 0
    lines_are_shown = output is None
    # A bar beside lines on one terminal would be torn apart by them.
    bar = progress_bar(visible=not lines_are_shown or not sys.stdout.isatty())
    with closing(outcomes), bar:
        task = bar.add_task("", total=len(found))
        for outcome in outcomes:
            done += 1
            bar.update(task, completed=done)
            gone = gone + 1 if isinstance(outcome.error, ConnectionFailedError) else 0
            if outcome.error and gone == GONE:
                if output:
                    outcome.error.add_note(f"Start again with -o {output} to go on.")
                raise outcome.error
            if outcome.error:
                errors.add(outcome.photo, _reason(outcome.error))
            if lines_are_shown:
                form.show(outcome)
            if write_xmp and outcome.recommendation:
                write_keywords(str(outcome.photo), outcome.recommendation, errors)
        bar.update(task, completed=len(found))
    errors.show()
    if output:
        before = f", {len(found) - done} were done before" if done < len(found) else ""
        of_those = f" ({refused} of them with an error)" if refused else ""
        failed = f", {len(errors.lines)} with an error" if errors.lines else ""
        click.echo(f"{done} photos{failed}{before}{of_those}: {output}", err=True)
    return FAILED if errors.lines or refused else 0


def write_keywords(photo: str, recommendation: Recommendation, errors: Errors) -> None:
    """Add the hashtags to a photo's keywords, but for guesses."""
    if photos.is_url(photo):
        errors.add(photo, "keywords are written into files, not URLs")
    elif recommendation.abstained:
        click.echo(f"{photo}: no keywords written, its hashtags are guesses", err=True)
    else:
        try:
            keywords.add_keywords(Path(photo), [h.tag for h in recommendation.hashtags])
        except (keywords.KeywordsError, OSError) as err:
            errors.add(photo, f"no keywords written: {_reason(err)}")


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
