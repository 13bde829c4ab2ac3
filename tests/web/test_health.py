"""Is it alive, can it work, and one sweep on demand."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from tests.support.signing import SWEEP, deliver
from tests.support.world import Outside, World, open_world

from prebooking.adapters.supabase.store import SupabaseStore
from prebooking.domain.errors import StoreUnavailableError

ANA = "ana@example.com"
SOON = datetime.now(UTC) + timedelta(hours=5)


async def test_it_is_alive_and_ready_and_asks_nobody_who_asks(world: World) -> None:
    alive, ready = await world.http.get("/healthz"), await world.http.get("/readyz")
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert (await world.http.head("/healthz")).status_code == 200


async def test_it_is_alive_but_not_ready_with_a_key_that_the_database_does_not_know(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, SUPABASE_SECRET_KEY="sb_secret_of_another_project") as world:
        assert (await world.http.get("/healthz")).status_code == 200
        ready = await world.http.get("/readyz")
        assert (ready.status_code, ready.json()["code"]) == (503, "database-unavailable")


async def test_however_many_ask_whether_it_is_ready_the_database_is_asked_once(
    sweepless: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go = [], asyncio.Event()

    async def check(_: SupabaseStore) -> None:
        asked.append(1)
        await go.wait()
        if len(asked) == 1:
            raise StoreUnavailableError("away")

    monkeypatch.setattr(SupabaseStore, "check", check)
    many = [asyncio.create_task(sweepless.http.get("/readyz")) for _ in range(20)]
    while not asked:
        await asyncio.sleep(0.001)
    await sweepless.http.get("/healthz")
    go.set()
    assert {answer.status_code for answer in await asyncio.gather(*many)} <= {503, 200}
    assert len(asked) <= 2
    for _ in range(20):  # what was away may be back, and then is so for a second
        assert (await sweepless.http.get("/readyz")).status_code == 200
    assert len(asked) == 2


async def test_it_is_not_ready_before_the_database_is_migrated(sweepless: World) -> None:
    async with sweepless.database.transaction():
        await sweepless.database.execute("alter function public.sweep_prebookings rename to not_there")
        await sweepless.database.execute("notify pgrst, 'reload schema'")
    try:
        assert (await sweepless.http.get("/readyz")).status_code == 503
    finally:
        await sweepless.database.execute("alter function public.not_there rename to sweep_prebookings")
        await sweepless.database.execute("notify pgrst, 'reload schema'")
    assert (await sweepless.http.get("/readyz")).status_code == 200


async def test_a_sweep_by_schedule_executes_what_is_due_and_orders_what_is_missing(sweepless: World) -> None:
    await sweepless.member(ANA)
    sweepless.qstash.qstash.faults.change({"lost": True})
    due = await sweepless.prebook(ANA, sweepless.open_class(-1))
    waiting = await sweepless.prebook(ANA, SOON, class_id=2)
    await sweepless.database.execute(
        "update public.prebookings set armed_at = armed_at - interval '10 seconds', scheduled_version = null,"
        " qstash_schedule_id = null"
    )

    answer = await deliver(sweepless, SWEEP, b"")
    assert answer.status_code == 200
    assert answer.json() == {"outcome": "swept", "found": {"execute": 1, "settle": 0, "publish": 1}}
    assert (await sweepless.read(ANA, due["id"]))["result"]["outcome"] == "booked"
    assert (await sweepless.read(ANA, waiting["id"]))["qstash_schedule_id"]


async def test_a_sweep_for_nothing_finds_nothing(sweepless: World) -> None:
    answer = await deliver(sweepless, SWEEP, b'{"whatever": "the schedule sends"}')
    assert answer.json()["found"] == {"execute": 0, "settle": 0, "publish": 0}
