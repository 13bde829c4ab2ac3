"""Migrations through a pooler that gives each transaction a session which others have used, as Supabase's port 6543."""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from tests.postgres.transaction_pooler import Pooler, transaction_pooler

from prebooking.adapters.database_url import without_unknown_parameters
from prebooking.adapters.migrations import migrate, scripts
from prebooking_local.postgres import Postgres

NAMES = [script.name for script in scripts()]


def as_another_process() -> None:
    """asyncpg numbers its prepared statements within a process: each process begins with the same names."""
    asyncpg.connection._uid = 0


@pytest.fixture(autouse=True)
def _numbers() -> Iterator[None]:
    """The connections of other tests go on where they were."""
    before = asyncpg.connection._uid
    yield
    asyncpg.connection._uid = before + 1000


async def one(url: str) -> object:
    as_another_process()
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval("select $1::integer", 1)
    finally:
        await connection.close()


@pytest.fixture
async def pooled(server: Postgres) -> AsyncIterator[tuple[Pooler, str]]:
    name = f"pooled_{uuid4().hex}"
    url = urlsplit(await server.create_database(name))
    async with transaction_pooler(url.hostname or "", url.port or 0) as (pooler, port):
        address = f"{url.username}:{url.password}@127.0.0.1:{port}"
        yield pooler, urlunsplit(url._replace(netloc=address))
    await server.drop_database(name)


async def test_any_number_of_runs_through_a_transaction_pooler_migrate_once(pooled: tuple[Pooler, str]) -> None:
    applied = []
    for _ in range(4):
        as_another_process()
        applied.append(await migrate(pooled[1]))
    assert applied == [NAMES, [], [], []]


async def test_the_pooler_of_this_test_keeps_prepared_statements_as_real_ones_do(pooled: tuple[Pooler, str]) -> None:
    """Else the test above would prove nothing."""
    assert await one(pooled[1]) == 1
    with pytest.raises(asyncpg.DuplicatePreparedStatementError):
        await one(pooled[1])


async def test_parameters_of_other_clients_are_left_out_and_named(pooled: tuple[Pooler, str]) -> None:
    url = pooled[1] + "?pgbouncer=true&connection_limit=1&sslmode=prefer&supa=base-pooler.x"
    assert without_unknown_parameters(url) == (
        pooled[1] + "?sslmode=prefer",
        ["connection_limit", "pgbouncer", "supa"],
    )

    assert await migrate(url) == NAMES
    (asked,) = pooled[0].parameters
    assert b"connection_limit" not in asked
    assert b"pgbouncer" not in asked


@pytest.mark.parametrize("url", ["postgresql://a:p%40ss@db/x?sslmode=require", "postgres://a@db/x", "postgresql:///x"])
def test_a_url_without_such_parameters_stays_as_it_is(url: str) -> None:
    assert without_unknown_parameters(url) == (url, [])
