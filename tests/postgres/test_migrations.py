"""Migrations: each file once, all or nothing, whoever else migrates; and the whole protocol on both versions."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from uuid import uuid4

import asyncpg
import pytest
from tests.postgres.factories import OPENING, booking_data, session
from tests.postgres.functions import NOW, connect, rolled_back, seconds, settable_clock

from prebooking.adapters import migrations
from prebooking.adapters.migrations import MigrationChangedError, compare, migrate
from prebooking_local.postgres import Postgres

TEXTS = migrations._texts()
NAMES = [name for name, _ in TEXTS]


@pytest.fixture
async def empty(each_server: Postgres) -> AsyncIterator[str]:
    name = f"empty_{uuid4().hex}"
    yield await each_server.create_database(name)
    await each_server.drop_database(name)


async def recorded(dsn: str) -> list[asyncpg.Record]:
    return await rows(dsn, "select * from prebooking.migrations where name like '%/%' order by name")


def release(monkeypatch: pytest.MonkeyPatch, *texts: tuple[str, str]) -> None:
    """What another release has in sql/."""
    monkeypatch.setattr(migrations, "_texts", lambda: texts)


def changed(old: str, new: str) -> list[tuple[str, str]]:
    """The files, with this piece of the inspection's replaced."""
    texts = dict(TEXTS)
    assert old in texts["functions/70_inspection.sql"]
    texts["functions/70_inspection.sql"] = texts["functions/70_inspection.sql"].replace(old, new)
    return list(texts.items())


async def rows(dsn: str, query: str) -> list[asyncpg.Record]:
    connection = await connect(dsn)
    try:
        found: list[asyncpg.Record] = await connection.fetch(query)
        return found
    finally:
        await connection.close()


async def execute(dsn: str, statement: str) -> object:
    connection = await connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_an_empty_database_gets_every_file_in_order_and_a_second_time_none(empty: str) -> None:
    assert await migrate(empty) == NAMES
    first = await recorded(empty)

    assert await migrate(empty) == []
    assert {row["name"] for row in first} == set(NAMES)
    assert await recorded(empty) == first


async def test_migrators_that_come_at_once_take_turns(empty: str) -> None:
    applied = await asyncio.gather(*(migrate(empty) for _ in range(4)))

    assert sorted(applied) == [[], [], [], NAMES]


async def test_a_migration_that_was_edited_after_it_was_applied_is_refused_and_nothing_is_done(empty: str) -> None:
    await migrate(empty)
    await execute(empty, f"update prebooking.migrations set checksum = 'another' where name = '{NAMES[0]}'")
    await execute(empty, f"delete from prebooking.migrations where name = '{NAMES[1]}'")
    before = await recorded(empty)

    with pytest.raises(MigrationChangedError, match=NAMES[0]):
        await migrate(empty)

    assert await recorded(empty) == before


async def test_a_file_that_fails_leaves_nothing_of_the_others(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    release(monkeypatch, *TEXTS[:-1], ("functions/98_broken.sql", "select 1 / 0"), TEXTS[-1])
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty)

    assert await execute(empty, "select to_regclass('public.prebookings')") is None
    monkeypatch.undo()
    assert await migrate(empty) == NAMES


async def test_functions_that_have_changed_are_applied_again_and_the_grants_after_them(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(empty)
    release(monkeypatch, *changed("note_ping(p_id uuid)", "note_ping(p_id uuid, p_more text default null)"))
    assert await migrate(empty) == ["functions/70_inspection.sql", "functions/99_grants.sql"]
    assert await migrate(empty) == []

    (text, acl, settings), *others = await rows(
        empty,
        "select pg_get_function_arguments(oid), proacl::text, proconfig from pg_proc where proname = 'note_ping'",
    )
    # The one without the parameter is gone: a call could not tell them apart.
    assert (text, others) == ("p_id uuid, p_more text DEFAULT NULL::text", [])
    assert set(settings) == {'search_path=""', "statement_timeout=900ms", "lock_timeout=500ms"}
    assert not any(grantee in acl for grantee in ("{=", ",=", "anon", "authenticated"))


async def test_a_release_leaves_functions_as_a_newer_one_has_written_them(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is rolled back to may migrate once more; the newer replicas go on."""
    await migrate(empty)
    release(monkeypatch, *changed("interval '1 day'", "interval '2 days'"))
    await migrate(empty)
    newer = await recorded(empty)
    monkeypatch.undo()

    assert await migrate(empty) == []
    assert await recorded(empty) == newer
    in_database = {row["name"]: row["checksum"] for row in newer}
    assert compare(in_database).newer == ("functions/70_inspection.sql", "functions/99_grants.sql")


async def test_functions_of_a_database_with_an_unknown_migration_are_left_alone(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of one that this release has never seen before."""
    added = ("migrations/0002_more.sql", "alter table prebooking.pings add column more text")
    release(monkeypatch, TEXTS[0], added, *changed("interval '1 day'", "interval '2 days'")[1:])
    assert "migrations/0002_more.sql" in await migrate(empty)
    newer = await recorded(empty)
    monkeypatch.undo()

    assert await migrate(empty) == []
    assert await recorded(empty) == newer


async def test_functions_go_back_to_an_earlier_text_by_a_comment_that_makes_it_another(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(empty)
    release(monkeypatch, *changed("interval '1 day'", "interval '2 days'"))
    await migrate(empty)
    release(monkeypatch, *changed("Only pings are\n-- written.", "Back to one day."))
    assert await migrate(empty) == ["functions/70_inspection.sql", "functions/99_grants.sql"]


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
