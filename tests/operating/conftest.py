"""A good stack to examine, and databases that a test may spoil."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
from tests.operating.examined_service import ExaminedService
from tests.support.world import Outside, open_world

from prebooking.adapters.migrations import migrate
from prebooking_local.postgres import Postgres
from prebooking_local.supabase import Gateway, supabase_gateway


@pytest.fixture
async def examined(database: asyncpg.Connection, outside: Outside) -> AsyncIterator[ExaminedService]:
    """It has a member with a session."""
    async with open_world(database, *outside) as world:
        world.qstash.qstash.broker.dead_letters._letters.clear()
        await world.member("ana@example.com")
        examined = ExaminedService(world)
        await examined.forget_schedule()
        yield examined
        await examined.forget_schedule()


@pytest.fixture
async def another(server: Postgres) -> AsyncIterator[tuple[asyncpg.Connection, Gateway]]:
    """A migrated database of its own, with a gateway before it."""
    name = f"doctor_{uuid4().hex}"
    dsn = await server.create_database(name)
    await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        async with supabase_gateway(server.dsn(name, user="authenticator")) as gateway:
            yield connection, gateway
    finally:
        await connection.close()
        await server.drop_database(name)
