"""Who may do what, read from the catalog, so that a new function or table can't be forgotten."""

import asyncpg
import pytest

from postgres.functions import Functions

OUTSIDERS = ["anon", "authenticated"]

_FUNCTIONS = """
select p.oid, p.oid::regprocedure::text as signature, p.proname as name, n.nspname as schema,
  p.pronargs as arguments, p.prosecdef as as_owner, coalesce(p.proconfig, '{}') as settings,
  p.prorettype = 'trigger'::regtype as is_trigger
from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('public', 'prebooking')
"""
_TABLES = """
select c.oid, c.oid::regclass::text as name, n.nspname as schema, c.relrowsecurity as guarded
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'prebooking') and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""
# The contract: nothing more is exposed, nothing less.
CONTRACT = {
    *("create_prebooking", "attach_message", "claim_prebooking", "begin_booking", "finish_booking"),
    *("release_prebooking", "park_prebooking", "cancel_prebooking", "reschedule_prebooking", "retry_prebooking"),
    *("note_delivery_failure", "list_prebookings", "sweep_prebookings", "lease_session", "save_session"),
}


async def test_the_public_functions_are_those_of_the_contract_each_once(db: Functions) -> None:
    """An overload would make PostgREST refuse the call as ambiguous."""
    public = [f["name"] for f in await db.connection.fetch(_FUNCTIONS) if f["schema"] == "public"]

    assert sorted(public) == sorted(CONTRACT)


async def test_every_function_is_the_services_alone(db: Functions) -> None:
    allowed = "select has_function_privilege($1, $2::oid, 'execute')"

    for function in await db.connection.fetch(_FUNCTIONS):
        for role in ("public", *OUTSIDERS):
            assert not await db.connection.fetchval(allowed, role, function["oid"]), (role, function["signature"])
        assert await db.connection.fetchval(allowed, "service_role", function["oid"]), function["signature"]


@pytest.mark.parametrize("role", OUTSIDERS)
async def test_every_call_of_an_outsider_is_refused(protocol_connection: asyncpg.Connection, role: str) -> None:
    functions = [f for f in await protocol_connection.fetch(_FUNCTIONS) if not f["is_trigger"]]
    assert len(functions) > len(CONTRACT)
    for function in functions:
        arguments = ", ".join(["null"] * function["arguments"])
        transaction = protocol_connection.transaction()
        await transaction.start()
        try:
            await protocol_connection.execute(f"set local role {role}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await protocol_connection.execute(f"select {function['schema']}.{function['name']}({arguments})")
        finally:
            await transaction.rollback()


async def test_no_function_runs_with_its_owners_rights(db: Functions) -> None:
    assert not [f["signature"] for f in await db.connection.fetch(_FUNCTIONS) if f["as_owner"]]


async def test_no_public_function_can_be_led_to_anothers_tables(db: Functions) -> None:
    functions = [f for f in await db.connection.fetch(_FUNCTIONS) if f["schema"] == "public"]

    assert [f["settings"] for f in functions] == [['search_path=""']] * len(functions)


async def test_outsiders_reach_no_table_in_no_way(db: Functions) -> None:
    kinds = "select, insert, update, delete, truncate, references, trigger"
    tables = await db.connection.fetch(_TABLES)
    assert {t["name"] for t in tables} >= {"prebookings", "auth_sessions", "prebooking.migrations"}

    for table in tables:
        for role in OUTSIDERS:
            granted = "select has_table_privilege($1, $2::oid, $3) or has_any_column_privilege($1, $2::oid, $4)"
            some_columns = "select, insert, update, references"
            assert not await db.connection.fetchval(granted, role, table["oid"], kinds, some_columns), (role, table)


async def test_row_security_is_on_for_every_table_that_an_api_exposes(db: Functions) -> None:
    assert not [t["name"] for t in await db.connection.fetch(_TABLES) if t["schema"] == "public" and not t["guarded"]]


@pytest.mark.parametrize("role", OUTSIDERS)
async def test_outsiders_do_not_even_see_the_inner_schema(db: Functions, role: str) -> None:
    assert not await db.connection.fetchval("select has_schema_privilege($1, 'prebooking', 'usage, create')", role)


async def test_the_service_cannot_change_what_was_migrated(db: Functions) -> None:
    changes = "select has_table_privilege('service_role', 'prebooking.migrations', 'insert, update, delete')"

    assert not await db.connection.fetchval(changes)
