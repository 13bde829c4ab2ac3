"""The command line: serve, dev, demo, migrate, sweep."""

import asyncio
import sys
from typing import Annotated

import asyncpg
import typer
import uvicorn
from rich.console import Console

from prebooking.adapters.migrations import MigrationChangedError
from prebooking.adapters.migrations import migrate as apply_migrations
from prebooking.domain.errors import PrebookingError
from prebooking.logs import configure_logs
from prebooking.main import create_app, open_parts
from prebooking.settings import MigrationSettings, Settings, SettingsError, read_settings

app = typer.Typer(
    help="Books the gym class that fills two seconds after it opens, at the instant it opens.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_out = Console()
_err = Console(stderr=True)

_GRACE_S = 10


@app.command()
def serve() -> None:
    """Run the service, with the settings of the environment."""
    settings = read_settings(Settings)
    uvicorn.run(
        create_app(),
        host=settings.host,
        port=settings.port,
        loop="asyncio",  # it writes at once and in order, which is what the gate is for; uvloop gathers writes
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )


@app.command()
def migrate() -> None:
    """Apply sql/ to the database at DATABASE_URL. What is applied already is left alone."""
    url = read_settings(MigrationSettings).database_url.get_secret_value()
    applied = asyncio.run(apply_migrations(url))
    for name in applied:
        _out.print(f"applied {name}")
    _out.print("The database is up to date.")


@app.command()
def sweep() -> None:
    """Do one sweep: execute what is due, settle what is parked, schedule what has no message."""
    settings = read_settings(Settings)
    configure_logs(settings.log_level)

    async def once() -> None:
        async with open_parts(settings) as parts:
            work = await parts.sweeper.sweep()
            await parts.sweeper.settled()
            _out.print(
                f"Executed {len(work.execute)}, settled {len(work.settle)}, "
                f"scheduled {len(work.publish)} without a message."
            )

    asyncio.run(once())


@app.command()
def dev(
    port: Annotated[int, typer.Option(envvar="PORT", help="The service's port; 0 takes a free one.")] = 8000,
    qstash_port: Annotated[int, typer.Option(envvar="LOCAL_QSTASH_PORT")] = 8080,
    supabase_port: Annotated[int, typer.Option(envvar="LOCAL_SUPABASE_PORT")] = 54321,
    aimharder_port: Annotated[int, typer.Option(envvar="LOCAL_AIMHARDER_PORT")] = 9000,
) -> None:
    """Run everything on this machine: database, QStash, AimHarder and the service, with a demo prebooking."""
    from prebooking.local.dev import dev as run  # noqa: PLC0415  # the stand-ins are no part of the service
    from prebooking.local.stack import Ports  # noqa: PLC0415

    sys.exit(asyncio.run(run(Ports(port, qstash_port, supabase_port, aimharder_port))))


@app.command()
def demo() -> None:
    """30 members want one class that opens in 10 s: show who was booked, and how late each request left."""
    from prebooking.local.demo import demo as run  # noqa: PLC0415

    sys.exit(asyncio.run(run()))


def main() -> None:
    """Errors a person can mend are told in one line, without a trace."""
    try:
        app()
    except SettingsError as exc:
        _err.print(f"[bold red]Not started.[/] {exc}", highlight=False)
        sys.exit(2)
    except MigrationChangedError as exc:
        _err.print(f"[bold red]Not migrated.[/] {exc}", highlight=False)
        sys.exit(1)
    except (OSError, asyncpg.PostgresError) as exc:
        _err.print(f"[bold red]The database could not be reached or refused:[/] {exc}", highlight=False)
        sys.exit(1)
    except PrebookingError as exc:
        _err.print(f"[bold red]Failed.[/] {exc}", highlight=False)
        sys.exit(1)
