"""A database of the layout before the baseline, migrated to whatever file of it: it ends as a fresh one, rows kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from tests.postgres.adopting import WEB_APPLICATION
from tests.postgres.catalogue import catalogue
from tests.postgres.earlier_layout import CALLS, CHECKSUMS, FILES, Rows, apply_earlier, begin_earlier_layout, rows_of
from tests.postgres.functions import connect

from prebooking.adapters.migrations import apply, migrate, scripts
from prebooking_local.postgres import Postgres

# What a later file asks less of, which disturbs no writer of before: a notice may be of a series (0007_series.sql).
_RELAXED = {
    "column prebooking.notices prebooking",
    "constraint prebooking.notices notices_prebooking_not_null",
    "constraint prebooking.notices notices_kind_check",
}
_NAMES = [script.name for script in scripts()]
# As the web application and the old cron write them, whatever columns there are: each status, a session, and an end.
_ROWS = """
insert into public.prebookings (user_email, booking_data, available_at, status)
select 'Ana@example.com', data::jsonb, now() + interval '1 day', status
from unnest(array['pending', 'loaded', 'executing', 'completed', 'failed', 'cancelled']) as s (status),
  unnest(array['{"day": "20991231", "id": "1", "classTimeUTC": "2099-12-31T17:30:00Z"}', '[]']) as d (data);
insert into public.auth_sessions (user_email, aimharder_token, aimharder_cookies, fingerprint, session_type)
values ('ana@example.com', 'token', '[]', gen_random_uuid()::text, 'device');
"""
_OWN_ROWS = """
select public.create_prebooking(
  p_id => id, p_user_email => 'ana@example.com', p_box_subdomain => 'kap', p_box_aimharder_id => '10584',
  p_booking_data => jsonb_build_object('day', '20991231', 'id', id), p_available_at => '2099-12-30 17:30+00')
from unnest(array[gen_random_uuid(), gen_random_uuid()]) as i (id);
select public.claim_prebooking(
  p_id => p.id, p_token => gen_random_uuid(), p_version => 1, p_horizon_seconds => 1e10, p_max_attempts => 5)
from (select id from public.prebookings where status = 'pending' and wish_key is not null limit 1) p;
select public.begin_booking(
  p_id => p.id, p_token => p.claim_token, p_lease_seconds => 10, p_max_attempts => 5, p_settled => true)
from (select * from public.prebookings where status = 'executing' and claim_token is not null limit 1) p;
select public.finish_booking(
  p_id => p.id, p_token => p.claim_token, p_success => false, p_outcome => 'class_full', p_message => 'Full',
  p_result => '{"success": false, "outcome": "class_full"}')
from (select * from public.prebookings where status = 'executing' and claim_token is not null limit 1) p;
"""
_FIRST_WITH_FUNCTIONS = "0004_execution.sql"
_COMPARED_EVERY = 5
_LATER = "prebooking.history "  # rows of a table that the earlier layout had not
_PUBLICATION = """
set client_min_messages = error;
create publication supabase_realtime;
alter publication supabase_realtime owner to postgres;
"""


@asynccontextmanager
async def open_database(server: Postgres, base: str) -> AsyncIterator[asyncpg.Connection]:
    name = f"earlier_{uuid4().hex}"
    await server.create_database(name)
    connection = await connect(server.dsn(name))
    try:
        if base == "of the web application":
            await connection.execute(WEB_APPLICATION.read_text())
            publisher = await connect(server.dsn(name, user="supabase_admin"))
            await publisher.execute(_PUBLICATION)
            await publisher.close()
        yield connection
    finally:
        await connection.close()
        await server.drop_database(name)


@asynccontextmanager
async def rolled_back(connection: asyncpg.Connection) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def apply_rest(connection: asyncpg.Connection, names: list[str]) -> None:
    for name in names:
        await apply_earlier(connection, name)


def lost(before: Rows, after: Rows) -> list[str]:
    """What a row held and holds no more."""
    return [
        f"{key}: {column}"
        for key, row in before.items()
        for column, value in row.items()
        if value is not None and after.get(key, {}).get(column) != value
    ]


def filled(rows: Rows, key: str) -> dict[str, Any] | None:
    """A row without its empty columns: later migrations add some."""
    row = rows.get(key)
    return None if row is None else {column: value for column, value in row.items() if value is not None}


@pytest.mark.parametrize("base", ["that is empty", "of the web application"])
async def test_each_stage_of_the_earlier_layout_ends_as_a_fresh_database_with_its_rows(
    server: Postgres, base: str
) -> None:
    """At some stages also: its rows are those that the rest of the earlier files would have made of them."""
    async with open_database(server, base) as fresh:
        async with fresh.transaction():
            await apply(fresh)
        expected = await catalogue(fresh)
    names, deviations = list(FILES), []
    async with open_database(server, base) as db:
        await begin_earlier_layout(db)
        for number, name in enumerate(names, start=1):
            await apply_earlier(db, name)
            await db.execute(_ROWS)
            if name >= _FIRST_WITH_FUNCTIONS:
                await db.execute(_OWN_ROWS)
            before = await rows_of(db)
            async with rolled_back(db):
                assert await apply(db) == _NAMES
                after, ended = await rows_of(db), await catalogue(db)
            deviations += [(name, key) for key in expected.keys() | ended if expected.get(key) != ended.get(key)]
            deviations += [(name, key) for key in lost(before, after)]
            if number % _COMPARED_EVERY == 1:
                async with rolled_back(db):
                    await apply_rest(db, names[number:])
                    rows = await rows_of(db)
                after = {key: row for key, row in after.items() if not key.startswith(_LATER)}
                deviations += [(name, key) for key in rows.keys() | after if filled(rows, key) != filled(after, key)]
    assert deviations == []


async def test_all_that_the_earlier_files_made_but_functions_is_there_as_they_made_it(each_server: Postgres) -> None:
    """Functions change; tables, their columns, indexes, checks, triggers and policies only get more."""
    async with (
        open_database(each_server, "that is empty") as earlier,
        open_database(each_server, "that is empty") as fresh,
    ):
        await begin_earlier_layout(earlier)
        await apply_rest(earlier, list(FILES))
        async with fresh.transaction():
            await apply(fresh)
        of_then, of_now = await catalogue(earlier), await catalogue(fresh)
    made = {key: text for key, text in of_then.items() if not key.startswith("function ")}
    assert {key for key, text in made.items() if of_now.get(key) != text} <= _RELAXED


@pytest.mark.parametrize("until", [None, "0012_changes.sql", "0033_sign_in_again.sql"])
async def test_a_release_of_the_earlier_layout_finds_all_of_its_files_applied(
    server: Postgres, until: str | None
) -> None:
    """So its `migrate`, which may run once more when a deployment is rolled back, defines nothing as it was."""
    async with open_database(server, "that is empty") as db:
        dsn = server.dsn(await db.fetchval("select current_database()"))
        await begin_earlier_layout(db)
        for name in FILES:
            if until is not None and name <= until:
                await apply_earlier(db, name)
        assert await migrate(dsn) == _NAMES
        assert await migrate(dsn) == []
        recorded = dict(await db.fetch("select name, checksum from prebooking.migrations"))
        assert CHECKSUMS.items() <= recorded.items()


@pytest.mark.parametrize("function", CALLS)
async def test_a_replica_of_any_commit_can_call_the_functions_as_it_names_their_arguments(
    database: asyncpg.Connection, function: str
) -> None:
    for arguments in CALLS[function]:
        named = ", ".join(f"p_{name} => ${n}" for n, name in enumerate(arguments.split(), start=1))
        prepared = await database.prepare(f"select public.{function}({named})")
        assert [column.type.name for column in prepared.get_attributes()] == ["jsonb"]
