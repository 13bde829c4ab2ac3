"""Claims that wait long for their opening: their lease is renewed, and whoever has lost one stops and sends nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import asyncpg
import pytest
from tests.support.executions import ANA, LISTING, ON_TIME_MS, at_gym, bookings_asked, deliver, inject_fault
from tests.support.world import Outside, World, open_world

from prebooking.adapters.aimharder import session_client
from prebooking.usecases.booking import claiming
from prebooking_local.supabase import Fault

FAR_S = 20.0  # the opening is so far away that nothing begins
_WITHIN_S = 15.0  # less than that: what ends sooner has not waited for the opening


@pytest.fixture
async def patient(
    database: asyncpg.Connection, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """A replica that waits long, and renews a short lease often."""
    monkeypatch.setattr(claiming, "LEASE_S", 1.5)
    monkeypatch.setattr(claiming, "_EVERY_S", 0.1)
    monkeypatch.setattr(claiming, "_FRESH_S", 0.05)
    async with open_world(database, *outside, sweep_seconds=0, lead_seconds=30, max_duration_seconds=40) as running:
        running.qstash.qstash.faults.change({"lost": True})  # each test delivers by itself
        yield running


async def waiting(world: World, opens_in_s: float = FAR_S) -> tuple[dict[str, Any], "asyncio.Task[Any]"]:
    """Ana's prebooking and its delivery, which has made ready."""
    await world.member(ANA)
    row = await world.prebook(ANA, world.open_class(opens_in_s))
    delivery = asyncio.create_task(deliver(world, row["id"]))
    await at_gym(world, LISTING)
    return row, delivery


async def held(world: World, row: dict[str, Any]) -> asyncpg.Record:
    """And what time it is then, by the database: `at`."""
    query = "select *, prebooking.now() as at from public.prebookings where id = $1"
    found = await world.database.fetchrow(query, row["id"])
    assert found
    return found


async def renewed(world: World, row: dict[str, Any], times: int = 1) -> None:
    """Returns once its lease was prolonged so often."""
    async with asyncio.timeout(60):
        for _ in range(times):
            before = (await held(world, row))["lease_until"]
            while (await held(world, row))["lease_until"] == before:
                await asyncio.sleep(0.02)


async def abandon(delivery: "asyncio.Task[Any]", world: World, row: dict[str, Any]) -> None:
    """The member loses interest, which ends a test early."""
    await world.http.delete(f"/prebookings/{row['id']}", headers=world.speaking_for(ANA))
    await asyncio.wait_for(delivery, _WITHIN_S)


async def test_a_claim_that_waits_is_held_by_a_lease_that_is_short_and_renewed(patient: World) -> None:
    row, delivery = await waiting(patient)
    claimed = await held(patient, row)
    await renewed(patient, row, 3)
    still = await held(patient, row)
    assert (still["claim_token"], still["status"]) == (claimed["claim_token"], "executing")
    assert 0 < (still["lease_until"] - still["at"]).total_seconds() <= claiming.LEASE_S
    assert still["updated_at"] == claimed["updated_at"]
    await abandon(delivery, patient, row)


async def test_a_renewed_claim_fires_at_its_opening_after_one_attempt(patient: World) -> None:
    row, delivery = await waiting(patient, 5)
    answered = await asyncio.wait_for(delivery, 60)
    assert (answered.status, answered.outcome) == (200, "booked")
    row = await patient.read(ANA, row["id"])
    assert row["attempts"] == 1
    assert 0 <= row["result"]["timings"]["fire_lateness_ms"] < ON_TIME_MS


async def test_a_cancel_ends_the_execution_at_once_and_its_delivery_says_so(patient: World) -> None:
    row, delivery = await waiting(patient)
    cancelled = await patient.http.delete(f"/prebookings/{row['id']}", headers=patient.speaking_for(ANA))
    answered = await asyncio.wait_for(delivery, _WITHIN_S)
    assert cancelled.json()["status"] == "cancelled"
    assert (answered.status, answered.outcome) == (200, "cancelled")
    assert not bookings_asked(patient)


async def test_who_lost_its_claim_to_another_stops_and_leaves_the_row_to_it(patient: World) -> None:
    row, delivery = await waiting(patient)
    await patient.database.execute(
        "update public.prebookings set claim_token = gen_random_uuid(), lease_until = now() + interval '1 hour'"
        " where id = $1",
        row["id"],
    )
    answered = await asyncio.wait_for(delivery, _WITHIN_S)
    assert (answered.status, answered.outcome) == (503, "held")
    assert not bookings_asked(patient)
    assert (await held(patient, row))["status"] == "executing"


async def test_who_loses_its_claim_in_the_middle_of_a_question_does_not_wait_for_the_answer(
    patient: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_client, "QUESTION_S", 60.0)
    inject_fault(patient, "hang", LISTING, times=None)
    row, delivery = await waiting(patient)
    await patient.http.delete(f"/prebookings/{row['id']}", headers=patient.speaking_for(ANA))
    answered = await asyncio.wait_for(delivery, _WITHIN_S)
    assert answered.outcome == "cancelled"


@pytest.mark.parametrize("kind", ["lose_answer", "unavailable"])
async def test_renewals_that_fail_for_a_while_cost_nothing(patient: World, kind: str) -> None:
    row, delivery = await waiting(patient)
    patient.gateway.faults.set(Fault.model_validate({"kind": kind, "function": "renew_claims", "times": 4}))
    claimed = await held(patient, row)
    await asyncio.sleep(claiming.LEASE_S)
    patient.gateway.faults.set()
    await renewed(patient, row, 2)
    assert (await held(patient, row))["claim_token"] == claimed["claim_token"]
    await abandon(delivery, patient, row)


async def test_one_call_renews_all_claims_of_a_replica(patient: World) -> None:
    await patient.member(ANA)
    opens_at = patient.open_class(FAR_S)
    ids = [(await patient.prebook(f"m{n}@example.com", opens_at))["id"] for n in range(3)]
    for n in range(3):
        await patient.member(f"m{n}@example.com")
    deliveries = [asyncio.create_task(deliver(patient, one)) for one in ids]
    await at_gym(patient, LISTING, 3)
    await renewed(patient, {"id": ids[0]}, 2)  # the last of them may have been too young for the first time
    leases_of = await patient.database.fetch("select lease_until from public.prebookings where status = 'executing'")
    assert len({lease["lease_until"] for lease in leases_of}) == 1
    for n, delivery in enumerate(deliveries):
        await patient.http.delete(f"/prebookings/{ids[n]}", headers=patient.speaking_for(f"m{n}@example.com"))
        await asyncio.wait_for(delivery, _WITHIN_S)


async def test_another_replica_takes_over_as_soon_as_the_lease_of_a_dead_one_ends(
    patient: World, database: asyncpg.Connection, outside: Outside
) -> None:
    await patient.member(ANA)
    row = await patient.prebook(ANA, patient.open_class(6))
    dead = await database.fetchval(
        "select public.claim_prebooking($1, gen_random_uuid(), 1, 35, 5, 3)",
        row["id"],  # and it is never renewed
    )
    assert '"claimed"' in dead
    ended = (await held(patient, row))["lease_until"]
    async with open_world(
        database, *outside, beside=True, sweep_seconds=5, lead_seconds=30, max_duration_seconds=40
    ) as other:
        serves_at = await database.fetchval("select prebooking.now()")
        async with asyncio.timeout(60):
            while (taken := await held(patient, row))["claimed_at"] < ended:
                await asyncio.sleep(0.01)
        # As soon as there is a replica, and long before its next pass.
        assert (taken["claimed_at"] - max(ended, serves_at)).total_seconds() < 2
        row = await other.finished(ANA, row["id"])
    assert (row["result"]["outcome"], row["attempts"]) == ("booked", 1)
    assert 0 <= row["result"]["timings"]["fire_lateness_ms"] < ON_TIME_MS
    assert datetime.fromisoformat(row["executed_at"]) > ended
