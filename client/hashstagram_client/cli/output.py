"""What goes to the terminal: plain lines into pipes, tables and bars for people."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from hashstagram_client.results import Hashtag

if TYPE_CHECKING:
    from rich.progress import Progress

BAR = 24  # characters of a score of 1


def table(hashtags: Sequence[Hashtag]) -> str:
    """One line a hashtag, best first: "#sunset  0.873"."""
    width = max((len(hashtag.tag) for hashtag in hashtags), default=0) + 1
    return "\n".join(f"{'#' + h.tag:<{width}}  {h.score:.3f}" for h in hashtags)


def show_hashtags(hashtags: Sequence[Hashtag]) -> None:
    """The same, with bars where somebody looks."""
    if not sys.stdout.isatty():
        click.echo(table(hashtags))
        return
    rows = [(f"#{h.tag}", f"{h.score:.3f}", "█" * round(BAR * h.score)) for h in hashtags]
    show_rows(("hashtag", "score", ""), rows)


def show_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table; in a pipe lines with tabs, which `cut` and spreadsheets understand."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    grid = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for row in rows:
        grid.add_row(*row)
    Console(markup=False, highlight=False).print(grid)


def progress_bar(*, visible: bool) -> "Progress":
    """A bar on stderr with what is done and how long the rest takes."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not visible or not sys.stderr.isatty(),
    )
