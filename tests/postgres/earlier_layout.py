"""Migrates as releases did before the baseline: one file after another, recorded by its name."""

import hashlib
import json
from pathlib import Path
from typing import Any

import asyncpg

_FOLDER = Path(__file__).with_name("earlier")
FILES = {path.name: path.read_text() for path in sorted(_FOLDER.glob("*.sql"))}
CHECKSUMS = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}
#: By function the sets of arguments that some commit's replicas name.
CALLS: dict[str, list[str]] = json.loads((_FOLDER / "calls.json").read_text())

_RECORD = """
create schema if not exists prebooking;
create table if not exists prebooking.migrations (
  name text primary key, checksum text not null, applied_at timestamptz not null default now())
"""
# What each writer makes anew with each write of a row.
_STAMPS = {"updated_at", "changed_xid"}

Rows = dict[str, dict[str, Any]]


async def begin_earlier_layout(connection: asyncpg.Connection) -> None:
    await connection.execute(_RECORD)


async def apply_earlier(connection: asyncpg.Connection, name: str) -> None:
    await connection.execute(FILES[name])
    await connection.execute("insert into prebooking.migrations values ($1, $2)", name, CHECKSUMS[name])


async def rows_of(connection: asyncpg.Connection) -> Rows:
    """All rows but those of the migrations, each by its table and key."""
    tables = await connection.fetch(
        "select c.oid::regclass::text as name from pg_class c where c.relkind = 'r'"
        " and c.relnamespace::regnamespace::text in ('public', 'prebooking') and c.relname <> 'migrations'"
    )
    found: Rows = {}
    for table in tables:
        rows = await connection.fetch(f"select to_jsonb(t) as row from {table['name']} t order by t")
        for number, record in enumerate(rows):
            row = record["row"]
            found[f"{table['name']} {row.get('id', number)}"] = {k: v for k, v in row.items() if k not in _STAMPS}
    return found
