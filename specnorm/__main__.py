"""The command line: ``specnorm COMMAND``, or ``python -m specnorm COMMAND`` where the library is not installed."""

from __future__ import annotations

import importlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from specnorm import __version__
from specnorm.errors import SpecnormError, visible

# A module of specnorm.commands each, with its click command under the name `command`.
_COMMANDS = ("modes", "scale", "summary")
# What a shell reports for a command that the signal ended.
_INTERRUPTED = 128 + signal.SIGINT


class _Commands(click.Group):
    """Imports a command's module when its name is asked for; an error of ours is one line and a stage's exit code."""

    def list_commands(self, context: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"specnorm.commands.{name}").command
        return command

    def parse_args(self, context: click.Context, argv: list[str]) -> list[str]:
        with _visible_errors():
            return super().parse_args(context, argv)

    def invoke(self, context: click.Context) -> Any:
        try:
            with _visible_errors():
                return super().invoke(context)
        except SpecnormError as error:
            click.echo(f"{context.command_path} {context.invoked_subcommand}: {error}", err=True)
            context.exit(error.exit_code)
        except KeyboardInterrupt:
            context.exit(_INTERRUPTED)


@contextmanager
def _visible_errors() -> Iterator[None]:
    """What click says of a wrong use cites it, and is to do no more to a terminal than an error of ours."""
    try:
        yield
    except click.ClickException as error:
        error.message = visible(error.message)  # type: ignore[misc] # final: no class of click's own changes it
        raise


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """How should a log-spectrogram be normalised before a network sees it?"""


if __name__ == "__main__":
    main()
