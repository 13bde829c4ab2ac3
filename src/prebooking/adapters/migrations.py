"""Applies `sql/` to the database in one transaction: each migration once, each file of functions after a change."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from prebooking.adapters.database_url import without_unknown_parameters

# The key of the advisory lock, so that only one replica migrates at a time. The number is arbitrary.
_LOCK = 7_262_837_265
_MIGRATIONS, _FUNCTIONS = "migrations/", "functions/"
_HISTORY, _SHORT = "@", 12


class MigrationChangedError(RuntimeError):
    """A migration was applied before with another text."""


@dataclass(frozen=True, slots=True)
class Script:
    """A file of `sql/`, such as `functions/40_execution.sql`."""

    name: str
    text: str
    checksum: str

    @property
    def is_repeatable(self) -> bool:
        return self.name.startswith(_FUNCTIONS)

    @property
    def record(self) -> str:
        """Returns the SQL that records the file as applied. For functions it keeps the checksum of the text before."""
        before = history_name(self.name, self.checksum)
        forget = f"delete from prebooking.migrations where name = '{before}';\n"  # noqa: S608  # ours
        keep = (
            f"update prebooking.migrations set name = name || '{_HISTORY}' || left(checksum, {_SHORT})"  # noqa: S608
            f" where name = '{self.name}' and checksum <> '{self.checksum}';\n"
        )
        note = (
            f"insert into prebooking.migrations (name, checksum) values ('{self.name}', '{self.checksum}')"  # noqa: S608
            " on conflict (name) do nothing;\n"
        )
        return forget + keep + note if self.is_repeatable else note


def scripts() -> tuple[Script, ...]:
    """Returns all files, in the order in which they are applied.

    The last one sets the grants and settings of all functions, so its checksum covers all of them.
    """
    found = [Script(name, text, _checksum(text)) for name, text in _texts()]
    functions = "".join(script.text for script in found if script.is_repeatable)
    return (*found[:-1], Script(found[-1].name, found[-1].text, _checksum(functions)))


def _texts() -> tuple[tuple[str, str], ...]:
    root = files("prebooking") / "sql"
    return tuple(
        (folder + script.name, script.read_text(encoding="utf-8"))
        for folder in (_MIGRATIONS, _FUNCTIONS)
        for script in sorted((root / folder.rstrip("/")).iterdir(), key=lambda f: f.name)
        if script.name.endswith(".sql")
    )


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def history_name(name: str, checksum: str) -> str:
    """Returns the name under which a replaced text is recorded."""
    return f"{name}{_HISTORY}{checksum[:_SHORT]}"


def shipped_functions() -> frozenset[str]:
    """Returns the names of all functions that the service may call."""
    found = (re.findall(r"create or replace function public\.(\w+)", script.text) for script in scripts())
    return frozenset(name for names in found for name in names)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference between a database and this release, each list in the order of application."""

    missing: tuple[Script, ...]  #: to be applied
    edited: tuple[str, ...]  #: migrations that were applied with another text
    newer: tuple[str, ...]  #: applied by a newer release


def compare(recorded: Mapping[str, str], shipped: Iterable[Script] | None = None) -> Comparison:
    """Compares by checksum. Names without a folder are of the earlier layout, which the baseline includes.

    Functions of a newer release are kept: those whose text replaced ours, or all if the database has a migration that
    is unknown here.
    """
    ours = scripts() if shipped is None else tuple(shipped)
    names = {script.name for script in ours}
    unknown = [name for name in recorded if "/" in name and _HISTORY not in name and name not in names]
    is_ahead = any(name.startswith(_MIGRATIONS) for name in unknown)
    missing, edited, newer = [], [], sorted(unknown)
    for script in ours:
        if recorded.get(script.name) == script.checksum:
            continue
        if script.is_repeatable and (is_ahead or history_name(script.name, script.checksum) in recorded):
            newer.append(script.name)
        elif not script.is_repeatable and script.name in recorded:
            edited.append(script.name)
        else:
            missing.append(script)
    return Comparison(tuple(missing), tuple(edited), tuple(newer))


def refuse_edited(comparison: Comparison) -> None:
    """Raises MigrationChangedError if a migration has been edited."""
    if comparison.edited:
        names = ", ".join(comparison.edited)
        raise MigrationChangedError(
            f"{names} was applied in another wording: restore it and put the change into a new file"
        )


async def migrate(database_url: str) -> list[str]:
    """Brings the database up to date. Returns the names of the applied files, in order.

    Raises MigrationChangedError if a recorded migration was edited: changes come as new files. It works through a
    pooler that gives each transaction another session: the lock belongs to the transaction, and no named statement is
    prepared.
    """
    url, _ = without_unknown_parameters(database_url)
    connection: asyncpg.Connection = await asyncpg.connect(url, statement_cache_size=0)
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            return await apply(connection)
    finally:
        await connection.close()


async def apply(connection: asyncpg.Connection) -> list[str]:
    """Like `migrate`, within the caller's transaction."""
    comparison = compare(await _recorded(connection))
    refuse_edited(comparison)
    for script in comparison.missing:
        await connection.execute(script.text)
        await connection.execute(script.record)
    return [script.name for script in comparison.missing]


async def _recorded(connection: asyncpg.Connection) -> dict[str, str]:
    if await connection.fetchval("select to_regclass('prebooking.migrations')") is None:
        return {}  # the baseline makes it
    rows = await connection.fetch("select name, checksum from prebooking.migrations")
    return {row["name"]: row["checksum"] for row in rows}
