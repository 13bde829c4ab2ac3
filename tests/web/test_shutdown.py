"""A deploy: what has not begun goes back at once, as if it had never been claimed; what has begun is finished."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any, cast

import asyncpg
import httpx
import pytest
from tests.support.executions import (
    ANA,
    LISTING,
    ON_TIME_MS,
    begun,
    bookings_asked,
    deliver,
    delivered,
    inject_fault,
    lease_ends,
    prebook_open_class,
    until,
)
from tests.support.world import Outside, World, open_world

from prebooking.adapters.tls import trusted
from prebooking_local.supabase import Fault

STOPPING = "This server is shutting down. Nothing was lost: try again."


async def stored(world: World, row: dict[str, Any]) -> dict[str, Any]:
    """What the API doesn't show, with how long the row is still held."""
    found = await world.database.fetchrow(
        "select *, extract(epoch from greatest(lease_until, retry_at) - now())::float as held_s"
        " from public.prebookings where id = $1",
        row["id"],
    )
    assert found
    return dict(found)


async def waiting(world: World, opens_in_s: float = 3.0) -> dict[str, Any]:
    """Ana's prebooking, claimed and waiting for its opening, not begun."""
    await world.member(ANA)
    row = await world.prebook(ANA, world.open_class(opens_in_s))
    async with asyncio.timeout(30):
        while (await stored(world, row))["status"] != "executing" or len(world.gym.ledger.of(LISTING)) < 1:
            await asyncio.sleep(0.01)
    return row


@pytest.fixture
async def other(sweepless: World, database: asyncpg.Connection, outside: Outside) -> AsyncIterator[World]:
    """Another replica, whose sweep runs."""
    async with open_world(database, *outside, beside=True, sweep_seconds=1) as running:
        yield running


async def test_what_waits_for_its_opening_is_given_back_at_once_and_was_no_attempt(sweepless: World) -> None:
    row = await waiting(sweepless)
    sweepless.services.executor.stop()
    answered = await delivered(sweepless, row)
    assert (answered.status, answered.outcome, answered.retry_after) == (503, "retry-later", 1)
    assert answered.took_s < 2  # the opening is later
    given_back = await stored(sweepless, row)
    assert (given_back["status"], given_back["attempts"], given_back["last_outcome"]) == ("pending", 0, None)
    assert given_back["held_s"] <= 0
    assert not bookings_asked(sweepless)


async def test_another_replica_takes_it_over_and_meets_the_gate(sweepless: World, other: World) -> None:
    row = await waiting(sweepless)
    sweepless.services.executor.stop()
    booked = await other.finished(ANA, row["id"])
    assert (booked["status"], booked["attempts"], len(bookings_asked(other))) == ("completed", 1, 1)
    assert booked["result"]["timings"]["fire_lateness_ms"] < ON_TIME_MS


async def test_what_has_begun_is_finished(sweepless: World) -> None:
    row = await waiting(sweepless)
    await begun(sweepless, row)
    sweepless.services.executor.stop()
    assert (await delivered(sweepless, row)).outcome == "booked"
    assert (await sweepless.read(ANA, row["id"]))["status"] == "completed"


async def test_a_begin_that_is_under_way_sends_nothing_and_leaves_no_mark(sweepless: World) -> None:
    sweepless.gateway.faults.set(Fault(function="begin_booking", kind="lose_answer", seconds=0.5, times=3))
    row = await waiting(sweepless)
    await begun(sweepless, row)  # and its caller has not heard of it
    sweepless.services.executor.stop()
    assert (await delivered(sweepless, row)).outcome == "retry-later"
    given_back = await stored(sweepless, row)
    assert (given_back["status"], given_back["attempts"], given_back["booking_started_at"]) == ("pending", 0, None)
    assert not bookings_asked(sweepless)


async def test_what_an_earlier_begin_left_unknown_stays_parked_and_is_free_at_once(sweepless: World) -> None:
    inject_fault(sweepless, "reset", handled=False)
    row = await prebook_open_class(sweepless)
    await delivered(sweepless, row)
    await lease_ends(sweepless, row)
    inject_fault(sweepless, "hang", LISTING)
    seen = len(sweepless.gym.ledger.of(LISTING))
    again = asyncio.create_task(deliver(sweepless, row["id"]))
    async with asyncio.timeout(30):
        while len(sweepless.gym.ledger.of(LISTING)) == seen:
            await asyncio.sleep(0.01)
    sweepless.services.executor.stop()
    assert (await again).outcome == "retry-later"
    parked = await stored(sweepless, row)
    assert parked["status"] == "executing"
    assert parked["booking_started_at"] is not None
    assert parked["held_s"] <= 0


async def test_a_stopping_replica_claims_nothing_more(sweepless: World) -> None:
    sweepless.services.executor.stop()
    row = await prebook_open_class(sweepless)
    answered = await delivered(sweepless, row)
    assert (answered.status, answered.outcome, answered.retry_after) == (503, "retry-later", 1)
    untouched = await stored(sweepless, row)
    assert (untouched["status"], untouched["claim_token"], untouched["attempts"]) == ("pending", None, 0)


async def test_the_first_word_of_a_stop_is_heard_and_passed_on(database: asyncpg.Connection, outside: Outside) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))  # as the server does
    try:
        async with open_world(database, *outside) as world:
            row = await waiting(world)
            os.kill(os.getpid(), signal.SIGTERM)
            assert (await delivered(world, row)).outcome == "retry-later"
            assert heard == [signal.SIGTERM]
            assert (await stored(world, row))["status"] == "pending"  # its sweep takes nothing either
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_who_still_waits_when_the_server_ends_is_told_to_try_again(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with httpx.AsyncClient(verify=trusted(), timeout=30) as client:
        async with open_world(database, *outside, sweep_seconds=0) as world:
            faults = outside[0].faults
            faults.set(Fault(kind="delay", seconds=60, times=99))
            url, headers = f"{world.url}/prebookings", world.speaking_for(ANA)
            asking = asyncio.create_task(client.get(url, headers=headers))
            await until(lambda: faults.active[0].times != 99)
        answer = await asking
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["detail"] == STOPPING


async def test_once_the_stop_is_told_each_answer_closes_its_connection(sweepless: World) -> None:
    url, headers = "/prebookings", sweepless.speaking_for(ANA)
    before = await sweepless.http.get(url, headers=headers)
    sweepless.services.executor.stop()
    after = [await sweepless.http.get(url, headers=headers), await sweepless.http.get(url)]
    assert "connection" not in before.headers
    assert [(answer.status_code, answer.headers["connection"]) for answer in after] == [(200, "close"), (401, "close")]


async def test_who_comes_when_all_is_closed_is_told_to_try_again(sweepless: World) -> None:
    sweepless.services.executor.stop()
    await cast("Any", sweepless.services.store)._rpc._client.postgrest.aclose()
    answer = await sweepless.http.get("/prebookings", headers=sweepless.speaking_for(ANA))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["detail"] == STOPPING
