"""The protocol's functions under a clock that each test sets, in a database of their own; and the older Postgres."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.postgres.adopting import Adopted, adopt
from tests.postgres.functions import Functions, Many, connect, rolled_back, settable_clock

from prebooking.adapters.migrations import migrate
from prebooking_local.postgres import Postgres, postgres


@pytest.fixture(scope="session")
async def protocol(server: Postgres) -> str:
    """The dsn of a migrated database whose clock is real unless a session sets it."""
    dsn = await server.create_database("protocol_tests")
    await migrate(dsn)
    await settable_clock(dsn)
    return dsn


@pytest.fixture(scope="session")
async def protocol_connection(protocol: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(protocol)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def db(protocol_connection: asyncpg.Connection) -> AsyncIterator[Functions]:
    """No rows, the clock stopped; all that happens is rolled back."""
    async with rolled_back(protocol_connection) as functions:
        yield functions


@pytest.fixture
async def many(protocol: str) -> AsyncIterator[Many]:
    """As many connections as asked for, all under the real clock; the rows they made are deleted."""
    connections: list[asyncpg.Connection] = []

    async def open_more(number: int) -> list[Functions]:
        opened = [await connect(protocol) for _ in range(number)]
        connections.extend(opened)
        for connection in opened:
            await connection.execute("set role service_role")
        return [Functions(connection, patient=True) for connection in opened]

    try:
        yield open_more
    finally:
        await connections[0].execute(
            "delete from public.prebookings; delete from public.auth_sessions; delete from prebooking.notices;"
            " delete from prebooking.retries; delete from prebooking.session_checks;"
            " delete from prebooking.accounts; delete from prebooking.sign_in_tries;"
            " delete from prebooking.own_sign_ins; delete from prebooking.calendars;"
            " delete from public.prebooking_series"
        )
        await connections[0].execute("reset role; delete from prebooking.email_owners")
        for connection in connections:
            await connection.close()


@pytest.fixture(scope="session")
async def older_server() -> AsyncIterator[Postgres]:
    async with postgres(16) as running:
        yield running


@pytest.fixture(scope="session", params=[18, 16])
def each_server(request: pytest.FixtureRequest, server: Postgres) -> Postgres:
    """Hosted Supabase runs several versions."""
    if request.param == server.version:
        return server
    older: Postgres = request.getfixturevalue("older_server")
    return older


@pytest.fixture(scope="session")
async def adopted(each_server: Postgres) -> AsyncIterator[Adopted]:
    async with adopt(each_server) as database:
        yield database


@pytest.fixture
async def web(adopted: Adopted) -> AsyncIterator[Functions]:
    """The functions on the web application's database, its rows included."""
    async with rolled_back(adopted.connection) as functions:
        yield functions
