"""What a browser sees with its user's access token: the user's own prebookings, by select and by realtime."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.postgres.adopting import Adopted
from tests.postgres.factories import prebooking
from tests.postgres.functions import Functions, connect, rolled_back
from tests.postgres.weekly import make_series

from prebooking.adapters.migrations import migrate
from prebooking_local.postgres import Postgres


async def browse(db: Functions, claims: Any, role: str = "authenticated") -> None:
    """From here to the transaction's end, as PostgREST and realtime set it up."""
    text = claims if isinstance(claims, str) else json.dumps(claims)
    await db.connection.execute("select set_config('request.jwt.claims', $1, true)", text)
    await db.connection.execute(f"set local role {role}")


async def seen(db: Functions) -> set[UUID]:
    return {row["id"] for row in await db.connection.fetch("select id from public.prebookings")}


async def test_a_browser_sees_its_users_rows_whatever_the_case_of_either_address(db: Functions) -> None:
    own = {await prebooking(db, user_email=email) for email in ("ana@example.com", "ANA@example.com")}
    await prebooking(db, user_email="bea@example.com")
    await browse(db, {"role": "authenticated", "email": "Ana@Example.COM"})

    assert await seen(db) == own


@pytest.mark.parametrize(
    "claims",
    [
        *("", "{}", {"email": None}, {"email": ""}, {"email": "ana@example.com "}, {"email": "%"}),
        *({"email": ["ana@example.com"]}, {"user_metadata": {"email": "ana@example.com"}}, {"sub": "ana@example.com"}),
    ],
)
async def test_a_token_without_the_rows_address_shows_nothing(db: Functions, claims: Any) -> None:
    for email in ("ana@example.com", ""):  # users by phone have the empty address in their token
        await prebooking(db, user_email=email)
    await browse(db, claims)

    assert await seen(db) == set()


async def test_without_a_request_nothing_is_shown(db: Functions) -> None:
    await prebooking(db)
    await db.connection.execute("set local role authenticated")

    assert await seen(db) == set()


async def test_a_policy_from_before_us_opens_nothing(web: Functions) -> None:
    """Policies add up, and the web application's table may have had a generous one."""
    await web.connection.execute("reset role")
    await web.connection.execute("create policy all_may_read on public.prebookings using (true)")
    await web.connection.execute("grant select on public.prebookings to anon")
    await browse(web, {"email": "bea@example.com"})
    of_bea = await web.connection.fetch("select distinct lower(user_email) as user from public.prebookings")
    assert [row["user"] for row in of_bea] == ["bea@example.com"]

    await browse(web, {}, role="anon")
    assert await seen(web) == set()


async def test_the_adopted_rows_of_a_user_are_his_too(web: Functions, adopted: Adopted) -> None:
    emails, rows = adopted.before["prebookings"]
    column = [name.split()[0] for name in emails].index("user_email")
    await browse(web, {"email": "ana@example.com"})

    assert len(await seen(web)) == sum(row[column].lower() == "ana@example.com" for row in rows) > 0


async def test_an_e_mail_that_another_account_has_shows_nothing_to_a_browser(db: Functions) -> None:
    own = {await prebooking(db)}
    assert (await db.call("own_email", sub="first", email="ana@example.com"))["outcome"] == "owned"
    seen_by = {}
    for sub in ("first", "second", None):
        await db.connection.execute("reset role")
        await browse(db, {"role": "authenticated", "email": "Ana@example.com", "sub": sub})
        seen_by[sub] = await seen(db)
    assert seen_by == {"first": own, "second": set(), None: set()}


async def test_a_browser_sees_its_users_series_and_no_others(db: Functions) -> None:
    own = {UUID((await make_series(db, "ana@example.com"))["id"])}
    await make_series(db, "bea@example.com")
    await db.call("own_email", sub="first", email="ana@example.com")
    for sub, shown in (("first", own), ("second", set())):
        await db.connection.execute("reset role")
        await browse(db, {"role": "authenticated", "email": "Ana@example.com", "sub": sub})
        found = await db.connection.fetch("select id, weekly, paused, skip, reasons from public.prebooking_series")
        assert {row["id"] for row in found} == shown


async def test_a_browser_whose_user_changed_the_e_mail_sees_the_moved_rows(db: Functions) -> None:
    own = {await prebooking(db)}
    for email in ("ana@example.com", "new@example.com"):
        await db.call("own_email", sub="first", email=email)
    for email, shown in (("new@example.com", own), ("ana@example.com", set())):
        await db.connection.execute("reset role")
        await browse(db, {"role": "authenticated", "email": email, "sub": "first"})
        assert await seen(db) == shown


@pytest.mark.parametrize("claims", [{"is_anonymous": True}, {"email_verified": False}, {"role": "anon"}])
async def test_a_browser_that_the_api_would_refuse_sees_nothing(db: Functions, claims: Any) -> None:
    await prebooking(db)
    await browse(db, {"role": "authenticated", "email": "ana@example.com", "sub": "first"} | claims)
    assert await seen(db) == set()


@pytest.mark.parametrize("statement", ["select id, status from public.prebookings order by created_at desc limit 20"])
async def test_the_policy_is_looked_up_in_the_index_of_users(db: Functions, statement: str) -> None:
    await db.connection.execute(
        "insert into public.prebookings (user_email, booking_data, available_at)"
        " select 'member' || i % 500 || '@example.com', '{}', now() from generate_series(1, 5000) i"
    )
    await db.connection.execute("reset role; analyze public.prebookings")
    await browse(db, {"email": "member7@example.com"})

    plans = await db.connection.fetchval(f"explain (analyze, format json) {statement}")
    (plan,) = json.loads(plans) if isinstance(plans, str) else plans
    scan = plan["Plan"]
    while "Index Name" not in scan:
        scan = scan["Plans"][-1]
    assert scan["Index Name"] == "prebookings_of_user"
    assert "lower(user_email) = " in scan["Index Cond"]
    assert scan.get("Rows Removed by Filter", 0) == 0


@pytest.fixture
async def published(each_server: Postgres) -> AsyncIterator[asyncpg.Connection]:
    """A database with Supabase's publication, then migrated."""
    name = f"published_{uuid4().hex}"
    dsn = await each_server.create_database(name)
    connection = await connect(dsn)
    try:
        await connection.execute("set client_min_messages = error")  # logical decoding itself is off here
        await connection.execute("create publication supabase_realtime")
        await migrate(dsn)
        yield connection
    finally:
        await connection.close()
        await each_server.drop_database(name)


async def test_realtime_publishes_the_prebookings_and_no_other_table(published: asyncpg.Connection) -> None:
    tables = await published.fetch("select schemaname, tablename from pg_publication_tables")

    assert [tuple(table) for table in tables] == [("public", "prebookings")]


async def test_a_published_row_goes_on_changing_and_its_old_values_stay_home(published: asyncpg.Connection) -> None:
    """A deletion, which realtime can't check, then tells the id alone."""
    async with rolled_back(published) as db:
        row = await prebooking(db)
        assert (await db.cancel(row))["outcome"] == "cancelled"
        identity = "select relreplident from pg_class where oid = 'public.prebookings'::regclass"
        assert await db.connection.fetchval(identity) == b"d"


async def test_a_publication_of_all_tables_is_left_alone(each_server: Postgres) -> None:
    name = f"published_{uuid4().hex}"
    dsn = await each_server.create_database(name)
    try:
        connection = await connect(each_server.dsn(name, user="supabase_admin"))
        await connection.execute("set client_min_messages = error")
        await connection.execute("create publication supabase_realtime for all tables")
        await connection.close()
        assert "migrations/0001_baseline.sql" in await migrate(dsn)
    finally:
        await each_server.drop_database(name)
