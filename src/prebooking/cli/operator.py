"""Commands for the operator: doctor, status, show, dlq."""

import sys
from typing import Annotated
from uuid import UUID

import typer

from prebooking.cli.common import JsonOption, load_settings, out


def doctor(
    *,
    as_json: JsonOption = False,
    wait: Annotated[
        float, typer.Option(min=1, max=120, metavar="SECONDS", help="How long the test message may take.")
    ] = 15.0,
) -> None:
    """Check settings, database, QStash, PUBLIC_URL, AimHarder, clocks and prebookings, and say how to fix problems."""
    from prebooking.operator import commands

    sys.exit(commands.doctor(out(), as_json=as_json, within_s=wait))


def status(
    *,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Maximum number of each.")] = 10,
) -> None:
    """Show the next openings and the last results."""
    from prebooking.operator import commands

    sys.exit(commands.status(out(), load_settings(), as_json=as_json, limit=limit))


def show(
    prebooking_id: Annotated[UUID, typer.Argument(metavar="ID", help="The prebooking's id.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show the history of a prebooking."""
    from prebooking.operator import commands

    sys.exit(commands.history(out(), load_settings(), prebooking_id, as_json=as_json))


def dlq(
    *,
    as_json: JsonOption = False,
    redrive: Annotated[
        bool, typer.Option("--redrive", help="Have the sweep schedule again those that can still be used.")
    ] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Delete those that can no longer be used.")] = False,
) -> None:
    """List QStash's dead letters with their prebookings."""
    from prebooking.operator import commands

    sys.exit(commands.dlq(out(), load_settings(), as_json=as_json, redrive=redrive, clear=clear))
