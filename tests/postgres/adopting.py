"""The web application's database: filled by it, then migrated; and what its tables and rows were before."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from tests.postgres.functions import connect, settable_clock

from prebooking.adapters.migrations import migrate
from prebooking_local.postgres import Postgres

WEB_APPLICATION = Path(__file__).with_name("web_application.sql")
TABLES = ["boxes", "user_boxes", "prebookings", "auth_sessions", "session_locks"]
KAP = UUID("00000000-0000-0000-0000-00000000b001")

Snapshot = dict[str, tuple[list[str], list[tuple[Any, ...]]]]


async def columns_of(connection: asyncpg.Connection, table: str) -> list[str]:
    """Each with its type, default and whether it may be null."""
    found = await connection.fetch(
        "select concat_ws(' ', column_name, data_type, is_nullable, column_default) as c"
        " from information_schema.columns where table_schema = 'public' and table_name = $1 order by ordinal_position",
        table,
    )
    return [row["c"] for row in found]


async def snapshot(connection: asyncpg.Connection, names: dict[str, list[str]]) -> Snapshot:
    taken: Snapshot = {}
    for table, columns in names.items():
        chosen = ", ".join(columns)
        rows = await connection.fetch(f"select {chosen} from public.{table} order by id")
        taken[table] = (await columns_of(connection, table), [tuple(row) for row in rows])
    return taken


@dataclass(frozen=True)
class Adopted:
    connection: asyncpg.Connection
    columns: dict[str, list[str]]
    before: Snapshot


@asynccontextmanager
async def adopt(server: Postgres) -> AsyncIterator[Adopted]:
    """Migrated twice; dropped in the end, as tests may come back to a server (xdist gives them out in any order)."""
    dsn = await server.create_database("adopted")
    connection = await connect(dsn)
    try:
        await connection.execute(WEB_APPLICATION.read_text())
        columns = {table: [c.split()[0] for c in await columns_of(connection, table)] for table in TABLES}
        before = await snapshot(connection, columns)
        await migrate(dsn)
        await migrate(dsn)
        await settable_clock(dsn)
        yield Adopted(connection, columns, before)
    finally:
        await connection.close()
        await server.drop_database("adopted")
