"""The command line application: every command, in the order in which `--help` lists them."""

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from prebooking import __version__
from prebooking.cli import database, local, operator, service
from prebooking.cli.common import fail, out
from prebooking.domain.errors import PrebookingError
from prebooking.settings import SettingsError

app = typer.Typer(
    help="Books the gym class that fills two seconds after it opens, at the instant it opens.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:  # noqa: FBT001  # typer calls it so
    if asked:
        out().print(f"prebooking {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of every command."""


for command in (
    *(service.serve, database.migrate, service.sweep, service.schedule_sweep),
    *(database.encrypt_sessions, database.release_email),
    *(operator.doctor, operator.status, operator.show, operator.dlq),
    *(local.dev, local.demo),
):
    app.command()(command)


def main() -> None:
    """Runs the command. Errors that the operator can fix are printed without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that can't show a character gets its number
    try:
        app()
    except SettingsError as exc:
        fail("Not started.", exc)
    except PrebookingError as exc:
        fail("Failed.", exc, "`prebooking doctor` says what to correct")
