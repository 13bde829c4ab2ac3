"""The gateway's connections to Postgres: a bounded pool, and one that listens for schema changes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from prebooking_local.supabase.catalog import Catalog, read_catalog
from prebooking_local.supabase.errors import RestError, no_database

RECONNECT_SECONDS = 0.05


class Database:
    def __init__(self, pool: Any, catalog: Catalog, *, acquire_seconds: float) -> None:
        self._pool = pool
        self._acquire_seconds = acquire_seconds
        self.catalog = catalog

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        try:
            connection = await self._pool.acquire(timeout=self._acquire_seconds)
        except TimeoutError as exc:
            message = "Timed out acquiring connection from connection pool."
            raise RestError(504, "PGRST003", message) from exc
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
            raise no_database(exc) from exc
        try:
            yield connection
        finally:
            await self._pool.release(connection)

    async def reload(self) -> None:
        async with self.connection() as connection:
            catalog = await read_catalog(connection)
        # A statement prepared earlier goes on hiding the columns that a type has gained since.
        await self._pool.expire_connections()
        self.catalog = catalog

    async def follow_changes(self, dsn: str) -> None:
        """Reloads on `notify pgrst`, and after each reconnection, because a notice may have been missed."""
        heard = asyncio.Event()
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, RestError):
                await self._listen(dsn, heard)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self, dsn: str, heard: asyncio.Event) -> None:
        connection = await asyncpg.connect(dsn)
        try:
            connection.add_termination_listener(lambda _: heard.set())
            await connection.add_listener("pgrst", lambda *_: heard.set())
            while not connection.is_closed():
                heard.clear()
                await self.reload()
                await heard.wait()
        finally:
            connection.terminate()


async def _nothing_to_reset(_connection: Any) -> None:
    """Resets nothing: every setting is the transaction's own, so a connection comes back as clean as it left."""


@asynccontextmanager
async def connect(dsn: str, *, pool_size: int, acquire_seconds: float) -> AsyncIterator[Database]:
    pool = await asyncpg.create_pool(dsn, min_size=0, max_size=pool_size, reset=_nothing_to_reset)
    try:
        async with pool.acquire() as connection:
            catalog = await read_catalog(connection)
        database = Database(pool, catalog, acquire_seconds=acquire_seconds)
        following = asyncio.create_task(database.follow_changes(dsn))
        try:
            yield database
        finally:
            following.cancel()
            await asyncio.wait([following])
    finally:
        pool.terminate()
