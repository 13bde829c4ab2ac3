"""A session is connected on each version of the web application's table of sessions, and its clean-up leaves it."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from tests.postgres.functions import Functions, connect, rolled_back

from prebooking.adapters.migrations import migrate
from prebooking_local.postgres import Postgres

_COLUMNS = """
  id uuid primary key default gen_random_uuid(),
  aimharder_token text not null,
  aimharder_cookies jsonb not null,
  created_at timestamptz default now(),
  updated_at timestamptz default now(),
  last_refresh_date timestamptz,
  refresh_count integer default 0,
  last_refresh_error text,
  auto_refresh_enabled boolean default true,
"""
_TOKEN_UPDATES = """
  last_token_update_date timestamp,
  token_update_count integer default 0,
  last_token_update_error text,
"""
_KINDS = """
  fingerprint varchar(50) not null,
  session_type text default 'device' check (session_type in ('background', 'device')),
  protected boolean default false,
  unique (user_email, fingerprint)
"""
_OLD = "insert into public.auth_sessions (user_email, aimharder_token, aimharder_cookies, created_at, updated_at{more})"
_OLD_ROW = " values ('Ana@Example.com', 'old', '[]', now() - interval '30 days', now() - interval '30 days'{more})"
#: By the number of its migration; each is what the table was from then on.
VERSIONS = {
    "001": f"{_COLUMNS} user_email varchar(255) unique not null",
    "003": f"{_COLUMNS} is_admin boolean default false, user_email varchar(255) not null unique",
    "lower": f"{_COLUMNS} user_email varchar(255) not null",
    "005": f"{_COLUMNS} {_TOKEN_UPDATES} is_admin boolean default false, user_email varchar(255) not null unique",
    "007": f"{_COLUMNS} {_TOKEN_UPDATES} is_admin boolean default false, user_email varchar(255) not null, {_KINDS}",
    "007 without its index": f"{_COLUMNS} {_TOKEN_UPDATES} user_email varchar(255) not null, {_KINDS}",
}
_AFTER = {
    "lower": "create unique index on public.auth_sessions (lower(user_email))",
    "007": "create unique index on public.auth_sessions (user_email) where session_type = 'background'",
}
_STAMP = """
create function public.update_updated_at_column() returns trigger language plpgsql as
  $$ begin new.updated_at = now(); return new; end $$;
create trigger update_auth_sessions_updated_at before update on public.auth_sessions
  for each row execute function public.update_updated_at_column();
"""
#: Devices' sessions, and before there were kinds all of them, are deleted a week after they were made.
CLEAN_UP = """
delete from public.auth_sessions
where created_at < now() - interval '7 days'
  and (to_jsonb(auth_sessions) ->> 'session_type') is distinct from 'background'
"""
OLD_CLEAN_UP = "delete from public.auth_sessions where created_at < now() - interval '7 days'"


@pytest.fixture(params=VERSIONS)
async def version(request: pytest.FixtureRequest, server: Postgres) -> AsyncIterator[tuple[str, Functions]]:
    """The table with a user's row of a month ago, then migrated."""
    number: str = request.param
    name = f"version_{uuid4().hex}"
    dsn = await server.create_database(name)
    connection = await connect(dsn)
    try:
        await connection.execute(f"create table public.auth_sessions ({VERSIONS[number]})")
        await connection.execute(_AFTER.get(number, "") or "select 1")
        await connection.execute(_STAMP)
        kinds = (", fingerprint", ", 'device-1'") if number.startswith("007") else ("", "")
        await connection.execute(_OLD.format(more=kinds[0]) + _OLD_ROW.format(more=kinds[1]))
        await migrate(dsn)
        async with rolled_back(connection) as db:
            yield number, db
    finally:
        await connection.close()
        await server.drop_database(name)


async def test_a_session_is_connected_again_and_again(version: tuple[str, Functions]) -> None:
    number, db = version
    for token in ("first", "second", "second"):
        connected = await db.call(
            "connect_session", user_email="ana@example.com", token=token, cookies=[], fingerprint=f"bg-{token}"
        )
        assert connected["outcome"] == "connected"
        read = await db.call("read_session", user_email="ana@example.com")
        assert (read["session"]["token"], read["state"]["session_type"]) == (token, "background")
    rows = await db.connection.fetch("select aimharder_token from public.auth_sessions order by 1")
    # The device's own row stays where there is room for it.
    assert [row[0] for row in rows] == (["old", "second"] if number.startswith("007") else ["second"])


async def test_the_web_applications_clean_up_leaves_what_was_just_connected(version: tuple[str, Functions]) -> None:
    number, db = version
    await db.connection.execute("select set_config('prebooking.tests_now', '', true)")
    await db.call("connect_session", user_email="ana@example.com", token="new", cookies=[], fingerprint="bg")
    await db.connection.execute("reset role")
    await db.connection.execute(CLEAN_UP if number.startswith("007") else OLD_CLEAN_UP)
    assert (await db.call("read_session", user_email="ana@example.com"))["session"]["token"] == "new"


async def test_what_was_connected_for_another_e_mail_moves(version: tuple[str, Functions]) -> None:
    _, db = version
    for email in ("ana@example.com", "new@example.com"):
        await db.call("own_email", sub="first", email=email)
    read = await db.call("read_session", user_email="new@example.com")
    assert read["session"]["token"] == "old"
    # What is sealed stays bound to whom it was sealed for.
    assert read["session"]["user_email"] == "ana@example.com"
