"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def server_options(function: F) -> F:
    """Where the server is; the command gets `url`, `token` and `timeout`."""
    for option in (
        click.option(
            "--timeout",
            type=click.FloatRange(0, min_open=True),
            default=30.0,
            show_default=True,
            help="Seconds for a photo, with all tries.",
        ),
        click.option("--token", help="Access key; else HASHSTAGRAM_TOKEN, else the server's own."),
        click.option("--url", help="The server; else HASHSTAGRAM_URL, else the local one."),
    ):
        function = option(function)
    return function


json_option = click.option("--json", "as_json", is_flag=True, help="JSON on stdout, nothing else.")
top_option = click.option(
    "-k", "--top", type=click.IntRange(1, 100), default=5, show_default=True, help="How many."
)
