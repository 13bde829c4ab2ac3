"""No function waits longer than its caller: it gives up by itself, and says so in a code that is worth another try."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from tests.postgres.factories import claimed, prebooking, session
from tests.postgres.functions import Functions, Many
from tests.support.world import Outside

from prebooking.adapters.supabase import claims, rpc
from prebooking.adapters.supabase.errors import TRANSIENT_CODES, TransientError
from prebooking.adapters.supabase.rpc import open_rpc
from prebooking.adapters.supabase.store import open_store

SOON = datetime.now(UTC) + timedelta(hours=1)
READ_ONLY = {"list_prebookings", "sweep_prebookings"}

_SETTINGS = """
select p.proname as name, s.option_name as setting, s.option_value as value
from pg_proc p, pg_options_to_table(p.proconfig) s where p.pronamespace = 'public'::regnamespace
"""


def seconds(value: str) -> float:
    assert value.endswith("ms"), value
    return int(value.removesuffix("ms")) / 1000


async def test_every_function_gives_up_before_its_caller_does(db: Functions) -> None:
    settings: dict[str, dict[str, str]] = {}
    for row in await db.connection.fetch(_SETTINGS):
        settings.setdefault(row["name"], {})[row["setting"]] = row["value"]
    names = await db.connection.fetch("select proname from pg_proc where pronamespace = 'public'::regnamespace")
    assert set(settings) == {row["proname"] for row in names} > READ_ONLY

    for name, values in settings.items():
        lock, whole = seconds(values["lock_timeout"]), seconds(values["statement_timeout"])
        assert lock < whole < rpc._TRY_S, name
    claim = seconds(settings["claim_prebooking"]["lock_timeout"])
    assert 2 * claim + rpc._PAUSES_S[0] < claims._CLAIM_S  # two tries, or the first was the only one


async def test_every_function_gives_up_a_lock_that_another_holds(many: Many) -> None:
    """All at once: each waits in a session of its own."""
    holder, *callers = await many(18)  # one more than there are calls
    row = await prebooking(holder, available_at=SOON, **claimed(uuid4()))
    rings = await prebooking(holder, available_at=SOON, scheduled_version=1)
    of_ana = await session(holder, session_type="background")
    ids: dict[str, Any] = {"id": row, "token": uuid4()}
    ended: dict[str, Any] = {**ids, "outcome": None, "message": None, "shots": [], "retry_seconds": 0}
    calls: dict[str, dict[str, Any]] = {
        "create_prebooking": {
            "id": uuid4(),
            "user_email": "ana@example.com",
            "box_subdomain": "kap",
            "box_aimharder_id": "1",
            "booking_data": {"day": "20990304", "id": "1"},
            "available_at": SOON,
        },
        "retry_prebooking": {**ids, "user_email": "ana@example.com"},
        "attach_message": {"id": row, "version": 1, "message_id": "msg"},
        "note_delivery_failure": {"id": rings, "version": 1, "reason": "down"},
        "cancel_prebooking": {"id": row, "user_email": "ana@example.com"},
        "reschedule_prebooking": {"id": row, "user_email": "ana@example.com", "available_at": SOON},
        "claim_prebooking": {**ids, "version": 1, "horizon_seconds": 5, "max_attempts": 5},
        "begin_booking": {**ids, "lease_seconds": 20, "max_attempts": 5, "settled": False},
        "finish_booking": {**ids, "success": True, "outcome": "booked", "message": "", "result": {}},
        "release_prebooking": {**ended, "graceful": False, "settled": False},
        "park_prebooking": ended,
        "lease_session": {"user_email": "ana@example.com", "token": "token-1", "lease": uuid4(), "lease_seconds": 9},
        "save_session": {"id": of_ana, "lease": uuid4(), "old_token": "token-1", "new_token": "token-2"},
        "admit_session_check": {"user_email": "ana@example.com", "token": uuid4(), "max_per_minute": 1},
        "connect_session": {"user_email": "ana@example.com", "token": "t", "cookies": [], "fingerprint": "f"},
        "disconnect_session": {"user_email": "ana@example.com"},
        "replace_session_secrets": {
            "id": of_ana,
            "old_token": "token-1",
            "old_cookies": [],
            "new_token": "t",
            "new_cookies": [],
        },
    }

    async def code(caller: Functions, function: str, arguments: dict[str, Any]) -> str:
        try:
            return str((await Functions(caller.connection).call(function, **arguments))["outcome"])
        except asyncpg.PostgresError as exc:
            return str(exc.sqlstate)

    async with holder.connection.transaction():
        await holder.connection.execute("select prebooking.take_turn('Ana@Example.com')")
        await holder.connection.execute("select prebooking.take_session_turn('Ana@Example.com')")
        await holder.connection.execute("select from public.prebookings for update")
        await holder.connection.execute("select from public.auth_sessions for update")
        async with asyncio.timeout(20):
            codes = await asyncio.gather(
                *(code(caller, *call) for caller, call in zip(callers, calls.items(), strict=True))
            )

    assert dict(zip(calls, codes, strict=True)) == dict.fromkeys(calls, "55P03")
    assert "55P03" in TRANSIENT_CODES


async def test_a_lock_that_is_let_go_while_the_service_waits_costs_it_nothing(
    outside: Outside, database: asyncpg.Connection
) -> None:
    gateway = outside[0]
    gateway.faults.set()
    row = await database.fetchval(
        "insert into public.prebookings (user_email, booking_data, available_at)"
        " values ('ana@example.com', '{}', now() + interval '1 hour') returning id"
    )
    async with open_store(gateway.url, gateway.secret_key, "a replica") as store:
        transaction = database.transaction()
        await transaction.start()
        await database.execute("select from public.prebookings for update")
        cancelling = asyncio.create_task(store.cancel(row, "ana@example.com"))
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and usename = 'authenticator'"
        waits = [False]
        async with asyncio.timeout(20):
            while waits[-2:] != [True, False]:  # it waited, and its first try has given up
                waits.append(bool(await database.fetchval(waiting)))
                await database.execute("select pg_stat_clear_snapshot()")
                await asyncio.sleep(0.005)
        await transaction.rollback()

        assert (await cancelling).outcome == "cancelled"


async def test_a_statement_that_takes_too_long_is_ended_by_the_database(
    outside: Outside, database: asyncpg.Connection
) -> None:
    """PostgREST has to set the limit before the call: within, it would come too late."""
    gateway = outside[0]
    gateway.faults.set()
    clock = await database.fetchval("select pg_get_functiondef('prebooking.now()'::regprocedure)")
    slow = "select pg_catalog.clock_timestamp() from pg_catalog.pg_sleep(30)"
    await database.execute(clock.replace("select pg_catalog.clock_timestamp()", slow))
    try:
        async with open_rpc(gateway.url, gateway.secret_key, "a replica") as rpc:
            with pytest.raises(TransientError, match="57014"):
                await rpc._try("sweep_prebookings", {"p_lead_seconds": 3, "p_max_delay_seconds": 1})
    finally:
        await database.execute(clock)
