"""The entry: which subcommand is meant, and what an error becomes for who typed it.

Exit codes: 0 all done, 1 something failed, 2 wrongly called, 3 no server that answers,
130 interrupted.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import cast

import click
from click.shell_completion import CompletionItem, get_completion_class

from hashstagram_client.errors import BusyError, ClientError, ConnectionFailedError

FAILED, WRONG, NO_SERVER, INTERRUPTED = 1, 2, 3, 130
NAME = "hashstagram"


class Commands(click.Group):
    """Subcommands by name; where none is named, photos are to be tagged."""

    modules: dict[str, str] = {  # noqa: RUF012
        "tag": "Hashtags for photos; may be left out.",
        "explain": "Where in a photo its hashtags were seen.",
        "models": "The versions of the model, and another one in their place.",
        "doctor": "Whether all is well, and what to do where it is not.",
        "completion": "A line for your shell's profile.",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are of use."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand."""
        if cmd_name == "completion":
            return completion
        if cmd_name not in self.modules:
            return None
        return cast(click.Command, import_module(f"hashstagram_client.cli.{cmd_name}").command)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What begins with none of our names is a photo or one of tag's options."""
        if args and args[0] not in (*self.modules, "--help", "-h", "--version"):
            args = ["tag", *args]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.modules.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Photos as well as names."""
        names = [
            CompletionItem(name, help=text)
            for name, text in self.modules.items()
            if name.startswith(incomplete)
        ]
        return [*names, CompletionItem(incomplete, type="file")]


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"{NAME} {version('hashstagram-client')}")
        ctx.exit()


@click.group(
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all done, 1 something failed, 2 wrongly called, 3 no server that "
    "answers, 130 interrupted.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version)
def command() -> None:
    """Hashtags for your photos: hashstagram photo.jpg.

    Each command has a --help of its own; 'hashstagram tag --help' lists what goes with photos.
    The server is found by --url, else HASHSTAGRAM_URL, else the .run/server.json of the folder
    where it was started; its key likewise.
    """


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """A line for your shell's profile: hashstagram completion bash >> ~/.bashrc."""
    kind = get_completion_class(shell)
    assert kind is not None  # they are click's own
    click.echo(kind(command, {}, NAME, f"_{NAME.upper()}_COMPLETE").source())


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")  # hashtags are in any script, terminals are not
    try:
        return int(command.main(argv, NAME, standalone_mode=False) or 0)
    except click.UsageError as err:
        err.show()
        return WRONG
    except click.ClickException as err:
        return _fail(err.format_message(), FAILED)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", INTERRUPTED)
    except (ConnectionFailedError, BusyError) as err:
        return _fail(_with_notes(err), NO_SERVER)
    except ClientError as err:
        return _fail(_with_notes(err), FAILED)
    except OSError as err:
        return _fail(f"{err.filename}: {err.strerror}" if err.filename else str(err), FAILED)


def _with_notes(err: ClientError) -> str:
    return "\n".join([str(err), *getattr(err, "__notes__", [])])


def _fail(message: str, code: int) -> int:
    click.echo(f"{NAME}: {message}", err=True)
    return code
