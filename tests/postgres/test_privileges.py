"""Who may do what: tried, by each role on each table, column and function that the catalogue names.

What is new appears here by itself, and is nobody's until EXPECTED says otherwise: a forgotten grant fails, and so does
one too many.
"""

import json
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import asyncpg
import pytest
from tests.postgres.functions import connect

from prebooking.adapters.migrations import migrate
from prebooking_local.postgres import Postgres

Claims = dict[str, str]

#: A name for the report → the role, and what its token says. All rows are Ana's.
CALLERS: dict[str, tuple[str, Claims]] = {
    "anon": ("anon", {"role": "anon"}),
    "the row's user": ("authenticated", {"role": "authenticated", "email": "Ana@Example.com", "sub": "1"}),
    "who was given the address": ("authenticated", {"role": "authenticated", "email": "ana@example.com", "sub": "2"}),
    "another user": ("authenticated", {"role": "authenticated", "email": "bea@example.com"}),
    "a user without e-mail": ("authenticated", {"role": "authenticated"}),
    "service_role": ("service_role", {"role": "service_role"}),
}
ALL_BUT_TRUNCATE = {"select", "insert", "update", "delete"}
#: All that is allowed to any role on any table. Who is not named may do nothing.
EXPECTED = {
    ("service_role", "public.prebookings"): ALL_BUT_TRUNCATE,
    ("service_role", "public.auth_sessions"): ALL_BUT_TRUNCATE,
    ("service_role", "prebooking.retries"): {"select", "insert", "delete"},
    ("service_role", "prebooking.notices"): ALL_BUT_TRUNCATE,
    ("service_role", "prebooking.session_watch"): ALL_BUT_TRUNCATE,
    ("service_role", "prebooking.migrations"): {"select"},
    ("service_role", "prebooking.pings"): {"select", "insert", "delete"},
    ("service_role", "prebooking.session_checks"): {"select", "insert", "delete"},
    ("service_role", "prebooking.idempotency_keys"): ALL_BUT_TRUNCATE,
    ("service_role", "prebooking.email_owners"): {"select", "insert", "update"},
    ("service_role", "prebooking.accounts"): ALL_BUT_TRUNCATE,
    ("service_role", "prebooking.sign_in_tries"): ALL_BUT_TRUNCATE,
    ("service_role", "prebooking.own_sign_ins"): ALL_BUT_TRUNCATE,
    ("service_role", "prebooking.calendars"): ALL_BUT_TRUNCATE,
    ("service_role", "prebooking.history"): {"select", "insert", "delete"},
    ("service_role", "public.prebooking_series"): ALL_BUT_TRUNCATE,
    ("authenticated", "public.prebooking_series"): {"select"},
    ("authenticated", "public.prebookings"): {"select"},
    ("authenticated", "public.prebooking_history"): {"select"},
}
SHOWN_TO_BROWSERS = {
    *("id", "user_email", "status", "version", "attempts", "available_at", "box_subdomain", "box_aimharder_id"),
    *("box_domain", "class", "series_id", "weekly", "paused", "skip", "reasons"),
    *("booking_data", "qstash_schedule_id", "warning", "result", "error_code", "error_message"),
    *("created_at", "updated_at", "executed_at"),
    *("prebooking_id", "n", "at", "event", "attempt", "replica", "reason", "message_id", "took_ms"),
}
SEES_NOTHING = {"another user", "who was given the address", "a user without e-mail"}

_SCHEMAS = ("public", "prebooking")
_COLUMNS = """
select format('%I.%I', n.nspname, c.relname) as table, a.attname as column, c.relkind = 'v'::"char" as is_view
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname = any($1) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') order by 1, a.attnum
"""
_FUNCTIONS = """
select p.oid, p.oid::regprocedure::text as signature, p.proname as name, n.nspname as schema,
  p.pronargs as arguments, p.prosecdef as as_owner, coalesce(p.proconfig, '{}') as settings
from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = any($1)
"""
_ROWS = """
insert into public.prebookings (user_email, booking_data, available_at)
values ('ana@example.com', '{"day": "20991231", "id": "1"}', now());
insert into public.auth_sessions (user_email, aimharder_token, aimharder_cookies, fingerprint)
values ('ana@example.com', 'token', '[]', 'print');
insert into prebooking.retries values ('ana@example.com', now());
insert into prebooking.notices (key, kind, prebooking, created_at, try_after)
values ('1', 'booked', '{}', now(), now());
insert into prebooking.pings values (gen_random_uuid(), now());
delete from prebooking.migrations where name <> 'functions/10_row.sql';
insert into prebooking.session_watch (prebooking_id) select id from public.prebookings;
insert into prebooking.session_checks values ('ana@example.com', gen_random_uuid(), now());
insert into prebooking.idempotency_keys (user_email, key, prebooking_id, outcome, used_at)
select 'ana@example.com', gen_random_uuid(), id, 'created', now() from public.prebookings;
insert into prebooking.email_owners (email, sub) values ('ana@example.com', '1');
insert into prebooking.accounts values ('ana@example.com', 'print');
insert into prebooking.sign_in_tries values (gen_random_uuid(), 'ana@example.com', 'ana@example.com', now(), 1);
insert into prebooking.own_sign_ins values (gen_random_uuid(), 'ana@example.com', now());
insert into prebooking.calendars values ('ana@example.com', repeat('0', 64), now());
insert into public.prebooking_series (id, user_email, weekly, created_at, updated_at)
values (gen_random_uuid(), 'ana@example.com', '{}', now(), now());
"""


@pytest.fixture(scope="module")
async def owner(each_server: Postgres) -> AsyncIterator[asyncpg.Connection]:
    """A migrated database, with a row of Ana's in each table of users."""
    name = f"privileges_{uuid4().hex}"
    dsn = await each_server.create_database(name)
    await migrate(dsn)
    connection = await connect(dsn)
    try:
        await connection.execute(_ROWS)
        yield connection
    finally:
        await connection.close()
        await each_server.drop_database(name)


async def tried(owner: asyncpg.Connection, caller: str, statement: str) -> str:
    """`denied`, what was done, such as `SELECT 1` of one row, or `allowed`, where the data alone stood in the way."""
    role, claims = CALLERS[caller]
    transaction = owner.transaction()
    await transaction.start()
    try:
        await owner.execute("select set_config('request.jwt.claims', $1, true)", json.dumps(claims))
        await owner.execute(f"set local role {role}")
        done: str = await owner.execute(statement)
        return done
    except asyncpg.InsufficientPrivilegeError:
        return "denied"
    except asyncpg.PostgresError:
        return "allowed"
    finally:
        await transaction.rollback()


def statements(table: str, column: str, *, is_view: bool) -> Iterator[tuple[str, str]]:
    yield "select", f'select "{column}" from {table}'
    yield "insert", f'insert into {table} ("{column}") values (default)'
    yield "update", f'update {table} set "{column}" = default'
    yield "delete", f"delete from {table}"
    if not is_view:
        yield "truncate", f"truncate {table}"


def expected(caller: str, table: str, column: str, operation: str) -> bool:
    role, _ = CALLERS[caller]
    shown = role == "service_role" or column in SHOWN_TO_BROWSERS
    return operation in EXPECTED.get((role, table), ()) and shown


async def test_each_role_can_do_to_each_column_of_each_table_what_is_expected_and_nothing_else(
    owner: asyncpg.Connection,
) -> None:
    columns = await owner.fetch(_COLUMNS, _SCHEMAS)
    assert {c["table"] for c in columns} >= {"prebooking.migrations", *(table for _, table in EXPECTED)}
    deviations = []
    for caller in CALLERS:
        for table, column, is_view in columns:
            for operation, statement in statements(table, column, is_view=is_view):
                outcome = await tried(owner, caller, statement)
                allowed = expected(caller, table, column, operation)
                sees = f"SELECT {0 if caller in SEES_NOTHING else 1}"
                if (outcome != "denied") != allowed or (allowed and operation == "select" and outcome != sees):
                    deviations.append((caller, statement, outcome))

    assert deviations == []


async def test_outsiders_have_no_privilege_that_no_statement_shows(owner: asyncpg.Connection) -> None:
    """On a whole table, or to lay a trigger or a foreign key on it."""
    whole = "select has_table_privilege($1, $2, 'select, insert, update, delete, truncate, references, trigger')"
    columns = "select has_any_column_privilege($1, $2, 'insert, update, references')"
    tables = {c["table"] for c in await owner.fetch(_COLUMNS, _SCHEMAS)}
    for role in ("anon", "authenticated"):
        for table in tables:
            assert not await owner.fetchval(whole, role, table), (role, table)
            assert not await owner.fetchval(columns, role, table), (role, table)
        assert not await owner.fetchval("select has_schema_privilege($1, 'prebooking', 'usage, create')", role)
        assert not await owner.fetchval("select has_schema_privilege($1, 'public', 'create')", role)


async def test_each_function_is_the_services_alone(owner: asyncpg.Connection) -> None:
    granted = "select has_function_privilege($1, $2::oid, 'execute')"
    functions = await owner.fetch(_FUNCTIONS, _SCHEMAS)
    assert {f["schema"] for f in functions} == set(_SCHEMAS)
    deviations = []
    for function in functions:
        call = f"select {function['schema']}.{function['name']}({', '.join(['null'] * function['arguments'])})"
        for caller, (role, _) in CALLERS.items():
            allowed = role == "service_role"
            # Tried as well as asked for: an inner function is hidden by its schema, whatever its own grants.
            if (await tried(owner, caller, call) != "denied") != allowed:
                deviations.append((caller, call))
            if await owner.fetchval(granted, role, function["oid"]) != allowed:
                deviations.append((role, function["signature"]))

    assert deviations == []


async def test_no_function_runs_with_its_owners_rights(owner: asyncpg.Connection) -> None:
    assert not [f["signature"] for f in await owner.fetch(_FUNCTIONS, _SCHEMAS) if f["as_owner"]]


async def test_no_function_can_be_led_to_anothers_tables_functions_or_operators(owner: asyncpg.Connection) -> None:
    led = [f["signature"] for f in await owner.fetch(_FUNCTIONS, _SCHEMAS) if 'search_path=""' not in f["settings"]]

    assert led == []


async def test_no_function_has_two_signatures(owner: asyncpg.Connection) -> None:
    """PostgREST would refuse the call as ambiguous."""
    names = [(f["schema"], f["name"]) for f in await owner.fetch(_FUNCTIONS, _SCHEMAS)]

    assert len(names) == len(set(names))


async def test_row_security_is_on_for_every_table_that_an_api_exposes(owner: asyncpg.Connection) -> None:
    open_tables = await owner.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
        " and not relrowsecurity"
    )
    assert open_tables == []
