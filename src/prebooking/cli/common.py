"""Shared by the commands: the terminal, the settings, and how a failure is printed."""

import sys
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic_settings import BaseSettings

from prebooking.domain.plain_text import printable
from prebooking.settings import (
    MigrationSettings,
    Settings,
    SettingsError,
    borrowed_names,
    read_settings,
    secrets_of,
)

if TYPE_CHECKING:
    from rich.console import Console

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@cache
def out() -> "Console":
    """Returns standard output."""
    from rich.console import Console  # here, as the service prints nothing

    return Console()


@cache
def err() -> "Console":
    """Returns standard error."""
    from rich.console import Console

    return Console(stderr=True)


def load_settings() -> Settings:
    """Reads the settings and configures the log, which redacts their secrets from then on. Raises SettingsError."""
    from prebooking.logs import configure_logs

    settings = read_settings(Settings)
    configure_logs(settings.log_level, secrets_of(settings))
    print_borrowed(Settings)
    return settings


def print_borrowed(kind: type[BaseSettings]) -> None:
    """Prints which settings take their value from a platform's variable."""
    for name, variable in borrowed_names(kind).items():
        err().print(f"{name} is not set: its value comes from {variable}.", highlight=False)


def fail(heading: str, exc: Exception, fix: str = "") -> None:
    """Prints the error, and how to correct it if that is not in its text, and exits with code 1.

    Errors of other systems may quote a secret, so their text is redacted. A SettingsError quotes no value, and has to
    keep the names of the settings.
    """
    from prebooking.redaction import Redactor

    text = str(exc) or type(exc).__name__
    shown = text if isinstance(exc, SettingsError) else Redactor(_secrets()).text(text)
    if fix:
        shown = f"{shown.rstrip('.')}: {fix}."
    err().print(f"[bold red]{heading}[/] ", end="")
    for line in shown.splitlines():
        err().print(printable(line), markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)


def _secrets() -> dict[str, str]:
    known: dict[str, str] = {}
    for kind in (Settings, MigrationSettings):
        with suppress(SettingsError):
            known |= secrets_of(read_settings(kind))
    return known
