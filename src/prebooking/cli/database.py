"""Commands that work on the database: migrate, encrypt-sessions, release-email.

Each command imports what it needs when it runs: importing all of it takes longer than a migration.
"""

import asyncio
import errno
import socket
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from prebooking.cli.common import err, fail, load_settings, out, print_borrowed
from prebooking.settings import MigrationSettings, SettingsError, read_settings

_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)
_ENCODE = "percent-encode its user and password (@ is %40, / is %2F, # is %23)"
_POOLER = (
    "db.<project>.supabase.co has only an IPv6 address; if this host has no IPv6, "
    "use the connection string of the project's session pooler"
)


def migrate(
    export: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write sql/ as timestamped files into DIR instead, for `supabase db push`."),
    ] = None,
) -> None:
    """Apply the migrations to the database at DATABASE_URL. Applied ones are skipped."""
    if export is not None:
        _export_migrations(export)
        return
    import asyncpg

    from prebooking.adapters.database_url import without_unknown_parameters
    from prebooking.adapters.migrations import MigrationChangedError
    from prebooking.adapters.migrations import migrate as apply

    url = read_settings(MigrationSettings).database_url.get_secret_value()
    print_borrowed(MigrationSettings)
    try:
        url, dropped = without_unknown_parameters(url)
        if dropped:
            err().print(f"DATABASE_URL: ignored {', '.join(dropped)}, which Postgres doesn't know.", highlight=False)
        for name in asyncio.run(apply(url)):
            out().print(f"applied {name}")
    except ValueError:  # its text quotes the supposed port, which may be a part of the password
        fail("Not migrated.", SettingsError("DATABASE_URL can't be read"), _ENCODE)
    except socket.gaierror as exc:
        fail("Not migrated.", OSError(f"the host of DATABASE_URL is not found ({exc})"), f"{_ENCODE}; {_POOLER}")
    except OSError as exc:
        fix = _POOLER if exc.errno in _NO_ROUTE else "check its host and port, and that this host may connect to it"
        fail("Not migrated.", OSError(f"the host of DATABASE_URL does not respond ({str(exc) or 'time-out'})"), fix)
    except asyncpg.InvalidAuthorizationSpecificationError as exc:
        fail("Not migrated.", exc, f"check user and password in DATABASE_URL; {_ENCODE}")
    except asyncpg.InvalidCatalogNameError as exc:
        fail("Not migrated.", exc, "correct the name at the end of DATABASE_URL")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, MigrationChangedError) as exc:
        fail("Not migrated.", exc)
    out().print("The database is up to date.")


def _export_migrations(folder: Path) -> None:
    from prebooking.adapters.migration_export import export, versions
    from prebooking.adapters.migrations import MigrationChangedError

    try:
        for path in export(folder):
            out().print(f"wrote {path}", highlight=False, soft_wrap=True)
        marks = " ".join(versions(folder))
    except (OSError, MigrationChangedError) as exc:
        fail("Not exported.", exc)
    out().print(f"{folder} is up to date: supabase db push applies it, and notes for prebooking that it did.")
    out().print("Where `prebooking migrate` has brought the database up to date, mark it as applied instead:")
    out().print(f"supabase migration repair --status applied {marks}", highlight=False, soft_wrap=True)


def encrypt_sessions() -> None:
    """Encrypt the stored sessions under the first of SESSION_ENCRYPTION_KEYS. Safe beside a running service."""
    settings = load_settings()
    if not settings.session_keys:
        raise SettingsError("SESSION_ENCRYPTION_KEYS is missing: make a key with `openssl rand -base64 32`")
    if not settings.encrypts_sessions:
        raise SettingsError("SESSION_ENCRYPTION_KEYS begins with plain: remove it here and on all replicas")

    from rich.progress import Progress

    from prebooking.adapters.supabase.rpc import open_rpc
    from prebooking.adapters.supabase.session_vault import SessionVault
    from prebooking.operator.session_encryption import Encryption, Step

    async def run() -> Encryption:
        key = settings.supabase_secret_key.get_secret_value()
        async with open_rpc(settings.supabase_url, key, "encrypt-sessions") as rpc:
            encryption = Encryption(rpc, SessionVault(settings.session_keys))
            with Progress(console=err(), transient=True) as progress:
                bar = progress.add_task("Encrypting sessions", total=await encryption.count())
                async for step in encryption.run():
                    progress.advance(bar, 0 if step is Step.LATER else 1)
            return encryption

    done = asyncio.run(run())
    out().print(f"Encrypted {done.encrypted}. Not under the first key: {done.left}.")
    for row_id, reason in done.unreadable.items():
        err().print(f"Session {row_id} was left as it is: {reason}.", soft_wrap=True, highlight=False)
    for user, reason in done.unreadable_passwords.items():
        err().print(f"The password of {user} was left as it is: {reason}.", soft_wrap=True, highlight=False)
    if done.left:
        sys.exit(1)


def release_email(address: Annotated[str, typer.Argument(help="The e-mail address.")]) -> None:
    """Free an e-mail address for another account: cancels its pending prebookings and deletes its sessions."""
    settings = load_settings()
    if "@" not in address.strip():
        fail("Nothing released.", SettingsError(f"{address!r} is not an e-mail address"))

    from prebooking.adapters.supabase.rpc import open_rpc

    async def run() -> dict[str, Any]:
        key = settings.supabase_secret_key.get_secret_value()
        async with open_rpc(settings.supabase_url, key, "release-email") as rpc:
            return await rpc.call("release_email", email=address.strip().lower())

    done = asyncio.run(run())
    owner = "It belonged to an account, and is free now" if done["owned"] else "It belonged to no account"
    summary = f"{owner}. Prebookings cancelled: {done['ended']}. Sessions forgotten: {done['sessions']}."
    if done["begun"]:
        summary += f" Being booked, and not cancelled: {done['begun']}."
    out().print(summary, highlight=False)
