"""What the suites share: a real Postgres for the session, migrated once, emptied between tests."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from prebooking.adapters.migrations import migrate
from prebooking.local.postgres import Postgres, postgres


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[Postgres]:
    async with postgres() as running:
        yield running


@pytest.fixture(scope="session")
async def migrated(server: Postgres) -> str:
    """The dsn of a migrated database that all tests share."""
    dsn = await server.create_database("prebooking_tests")
    await migrate(dsn)
    return dsn


@pytest.fixture
async def database(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the shared database, empty of rows, with the clock running as usual."""
    connection: asyncpg.Connection = await asyncpg.connect(migrated)
    await connection.execute("truncate public.prebookings, public.auth_sessions")
    try:
        yield connection
    finally:
        await connection.close()
