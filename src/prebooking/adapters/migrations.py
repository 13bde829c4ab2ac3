"""Applies `sql/` to the database, in order, each file once, all or nothing."""

import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files

import asyncpg

from prebooking.adapters.database_url import without_unknown_parameters

# Two replicas that migrate at once take turns. The number is arbitrary and ours.
_LOCK = 7_262_837_265

_RECORD = """
create schema if not exists prebooking;
create table if not exists prebooking.migrations (
  name text primary key, checksum text not null, applied_at timestamptz not null default now())
"""


class MigrationChangedError(RuntimeError):
    """A file that was applied before reads differently now."""


def _scripts() -> Iterator[tuple[str, str]]:
    folder = files("prebooking") / "sql"
    for script in sorted(folder.iterdir(), key=lambda f: f.name):
        if script.name.endswith(".sql"):
            yield script.name, script.read_text(encoding="utf-8")


def shipped() -> dict[str, str]:
    """The checksum of each file that this release brings, by name."""
    return {name: _checksum(text) for name, text in _scripts()}


def shipped_functions() -> frozenset[str]:
    """The names of all functions that the service may call."""
    found = (re.findall(r"create or replace function public\.(\w+)", text) for _, text in _scripts())
    return frozenset(name for names in found for name in names)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def migrate(database_url: str) -> list[str]:
    """Brings the database up to date; the names of what was applied now, in order.

    Raises MigrationChangedError where a recorded file has been edited since: changes come as new files.

    It may go through a pooler that gives each transaction another session: the lock is the transaction's, and no
    statement is prepared under a name, which would outlive its client there.
    """
    url, _ = without_unknown_parameters(database_url)
    connection: asyncpg.Connection = await asyncpg.connect(url, statement_cache_size=0)
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            await connection.execute(_RECORD)
            rows = await connection.fetch("select name, checksum from prebooking.migrations")
            applied = {row["name"]: row["checksum"] for row in rows}
            return [name for name, text in _scripts() if await _apply(connection, applied, name, text)]
    finally:
        await connection.close()


async def _apply(connection: asyncpg.Connection, applied: dict[str, str], name: str, text: str) -> bool:
    checksum = _checksum(text)
    if name in applied:
        if applied[name] != checksum:
            raise MigrationChangedError(
                f"{name} was applied in another wording: restore it and put the change into a new file"
            )
        return False
    await connection.execute(text)
    await connection.execute("insert into prebooking.migrations (name, checksum) values ($1, $2)", name, checksum)
    return True
