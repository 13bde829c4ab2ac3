"""Migrations: each file once, all or nothing, whoever else migrates; and the whole protocol on both versions."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from uuid import uuid4

import asyncpg
import pytest
from tests.postgres.factories import OPENING, booking_data, session
from tests.postgres.functions import NOW, connect, rolled_back, seconds, settable_clock

from prebooking.adapters import migrations
from prebooking.adapters.migrations import MigrationChangedError, migrate
from prebooking_local.postgres import Postgres

NAMES = [name for name, _ in migrations._scripts()]


@pytest.fixture
async def empty(each_server: Postgres) -> AsyncIterator[str]:
    name = f"empty_{uuid4().hex}"
    yield await each_server.create_database(name)
    await each_server.drop_database(name)


async def recorded(dsn: str) -> list[asyncpg.Record]:
    connection = await connect(dsn)
    try:
        rows: list[asyncpg.Record] = await connection.fetch("select * from prebooking.migrations order by name")
        return rows
    finally:
        await connection.close()


async def execute(dsn: str, statement: str) -> object:
    connection = await connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_an_empty_database_gets_every_file_in_order_and_a_second_time_none(empty: str) -> None:
    assert sorted(NAMES) == NAMES
    assert await migrate(empty) == NAMES
    first = await recorded(empty)

    assert await migrate(empty) == []
    assert [row["name"] for row in first] == NAMES
    assert await recorded(empty) == first


async def test_migrators_that_come_at_once_take_turns(empty: str) -> None:
    applied = await asyncio.gather(*(migrate(empty) for _ in range(4)))

    assert sorted(applied) == [[], [], [], NAMES]


async def test_a_file_that_was_edited_after_it_was_applied_is_refused_and_nothing_is_done(empty: str) -> None:
    await migrate(empty)
    await execute(empty, f"update prebooking.migrations set checksum = 'another' where name = '{NAMES[1]}'")
    await execute(empty, f"delete from prebooking.migrations where name = '{NAMES[0]}'")
    before = await recorded(empty)

    with pytest.raises(MigrationChangedError, match=NAMES[1]):
        await migrate(empty)

    assert await recorded(empty) == before


async def test_a_file_that_fails_leaves_nothing_of_the_others(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = migrations._scripts

    def with_a_broken_one() -> Iterator[tuple[str, str]]:
        yield from whole()
        yield "9999_broken.sql", "select 1 / 0"

    monkeypatch.setattr(migrations, "_scripts", with_a_broken_one)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty)

    assert await execute(empty, "select to_regclass('public.prebookings')") is None
    monkeypatch.undo()
    assert await migrate(empty) == NAMES


async def test_a_prebooking_is_booked_from_its_create_to_its_finish_on_every_version(empty: str) -> None:
    await migrate(empty)
    await settable_clock(empty)
    connection = await connect(empty)
    try:
        async with rolled_back(connection) as db:
            await session(db, session_type="background")
            row, token = uuid4(), uuid4()
            assert (await db.create(booking_data(), OPENING, id=row))["outcome"] == "created"
            assert (await db.attach(row, 1, "msg-1"))["outcome"] == "attached"
            claim = await db.claim(row, token, 1)
            assert (claim["outcome"], claim["session"]["token"]) == ("claimed", "token-1")
            await db.at(NOW + seconds(1.5))
            assert (await db.begin(row, token))["outcome"] == "begun"
            await db.at(OPENING + seconds(0.2))
            finished = await db.finish(row, token)
            assert finished["prebooking"]["status"] == "completed"
            assert datetime.fromisoformat(finished["prebooking"]["executed_at"]) == OPENING + seconds(0.2)
            assert (await db.sweep())["next_at"] is None
            assert (await db.cancel(row))["outcome"] == "already_finished"
    finally:
        await connection.close()
