"""The sweep: it books without QStash, settles what is parked, ends what is over, and publishes missing messages."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from structlog.testing import capture_logs
from tests.support.executions import (
    ANA,
    ON_TIME_MS,
    bookings_asked,
    inject_fault,
    lease_ends,
    prebook_open_class,
    ran,
    shots,
    sweep,
    until,
)
from tests.support.world import Outside, World, open_world

from prebooking.adapters.clock import SystemClock
from prebooking.usecases.sweep import SweepTimer


@pytest.fixture
async def second(sweepless: World, outside: Outside) -> AsyncIterator[World]:
    """Another replica beside the first."""
    async with open_world(sweepless.database, *outside, beside=True, sweep_seconds=0) as running:
        yield running


async def aged(world: World, row: dict[str, Any]) -> None:
    """As if it had been created a while ago."""
    await world.database.execute(
        "update public.prebookings set armed_at = now() - interval '11 s' where id = $1", row["id"]
    )


@pytest.mark.parametrize("fault", [{"api_status": {"value": 503}}, {"lost": True}], ids=["refuses", "loses"])
async def test_when_qstash_fails_a_living_replica_still_meets_the_opening(world: World, fault: dict[str, Any]) -> None:
    world.qstash.qstash.faults.change(fault)
    await world.member(ANA)
    row = await world.prebook(ANA, world.open_class(2))
    assert (row["qstash_schedule_id"] is None) == ("api_status" in fault)
    row = await world.finished(ANA, row["id"])
    assert row["result"]["outcome"] == "booked"
    assert 0 <= row["result"]["timings"]["fire_lateness_ms"] < ON_TIME_MS


async def test_a_host_whose_clock_is_behind_is_woken_for_what_is_made_here(
    database: asyncpg.Connection, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeps: list[float] = []
    sleep = SweepTimer.sleep

    async def noted(timer: SweepTimer, now: float, seconds: float) -> None:
        sleeps.append(seconds)
        await sleep(timer, now, seconds)

    monkeypatch.setattr(SystemClock, "wall", lambda _: time.time() - 300)
    monkeypatch.setattr(SweepTimer, "sleep", noted)
    async with open_world(database, *outside, sweep_seconds=60) as world:
        world.qstash.qstash.faults.change({"lost": True})
        await world.member(ANA)
        await until(lambda: sleeps and sleeps[-1] > 30)
        row = await world.prebook(ANA, world.open_class(2))
        assert (await world.finished(ANA, row["id"]))["result"]["timings"]["fire_lateness_ms"] < ON_TIME_MS


async def test_each_sweep_reads_the_databases_clock(sweepless: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SystemClock, "wall", lambda _: time.time() + 30)
    await sweepless.services.sweeper.sweep()
    opening_clock = sweepless.services.executor._pipeline._shared.clock
    assert opening_clock.offset_s == pytest.approx(-30, abs=1)
    assert opening_clock.now() == pytest.approx(time.time(), abs=0.5)


async def test_what_is_executed_by_the_sweep_is_told_to_a_late_message_as_finished(world: World) -> None:
    world.qstash.qstash.faults.change({"shift_s": {"value": 4.0, "next": 1}})
    await world.member(ANA)
    row = await world.prebook(ANA, world.open_class(2))
    assert (await world.finished(ANA, row["id"]))["result"]["timings"]["fire_lateness_ms"] < ON_TIME_MS
    answered, row = await ran(world, row)
    assert (answered.status, answered.outcome) == (200, "already_finished")
    assert len(bookings_asked(world)) == 1


async def test_two_replicas_sweep_side_by_side_and_book_once(sweepless: World, second: World) -> None:
    sweepless.qstash.qstash.faults.change({"lost": True})
    emails = [f"member{n}@example.com" for n in range(5)]
    opens_at = sweepless.open_class()
    rows = []
    for email in emails:
        await sweepless.member(email)
        rows.append(await sweepless.prebook(email, opens_at))
        await aged(sweepless, rows[-1])
    await asyncio.gather(sweep(sweepless), sweep(second))
    for email, row in zip(emails, rows, strict=True):
        assert (await sweepless.read(email, row["id"]))["result"]["outcome"] == "booked"
        assert sweepless.booking_requests(email) == sweepless.bookings(email) == 1


async def test_a_parked_row_is_settled_once_its_lease_has_ended_and_not_before(sweepless: World) -> None:
    inject_fault(sweepless, "reset", handled=False)
    _, row = await ran(sweepless, await prebook_open_class(sweepless))
    await sweep(sweepless)
    assert len(bookings_asked(sweepless)) == 1
    await lease_ends(sweepless, row)
    await sweep(sweepless)
    row = await sweepless.read(ANA, row["id"])
    assert (row["result"]["outcome"], shots(row)) == ("booked", ["no_answer", "booked"])


async def test_a_worker_killed_before_its_begin_is_replaced_when_its_lease_ends(sweepless: World) -> None:
    sweepless.qstash.qstash.faults.change({"lost": True})
    row = await prebook_open_class(sweepless)
    await sweepless.database.execute(
        "update public.prebookings set status = 'executing', attempts = 1, claim_token = gen_random_uuid(),"
        " lease_until = now() - interval '1 ms'"
    )
    await sweep(sweepless)
    row = await sweepless.read(ANA, row["id"])
    assert (row["result"]["outcome"], row["attempts"]) == ("booked", 2)


async def test_the_message_comes_first_so_a_row_made_a_moment_ago_is_left_to_it(sweepless: World) -> None:
    sweepless.qstash.qstash.faults.change({"lost": True})
    await prebook_open_class(sweepless)
    await sweep(sweepless)
    assert not bookings_asked(sweepless)


async def test_what_is_over_is_ended_and_nothing_sent(sweepless: World) -> None:
    sweepless.qstash.qstash.faults.change({"lost": True})
    row = await prebook_open_class(sweepless)
    await aged(sweepless, row)
    await sweepless.database.execute("update public.prebookings set give_up_at = now() - interval '1 s'")
    await sweep(sweepless)
    assert (await sweepless.read(ANA, row["id"]))["error_code"] == "expired"
    assert not bookings_asked(sweepless)


def qstash_is_back(world: World) -> None:
    """As if the pause after its last refusal were over."""
    world.qstash.qstash.faults.clear()
    world.services.sweeper._breaker._accepted()


async def prebooked_while_qstash_is_down(world: World, count: int) -> list[dict[str, Any]]:
    """Rows that open in an hour and have no message."""
    world.qstash.qstash.faults.change({"api_status": {"value": 503}})
    await world.member(ANA)
    opens_at = world.open_class(3600)
    rows = [
        await world.prebook(ANA, opens_at + timedelta(seconds=n), id=600 + n, day=world.day(opens_at))
        for n in range(count)
    ]
    assert all(row["qstash_schedule_id"] is None for row in rows)
    qstash_is_back(world)
    return rows


async def test_once_qstash_is_back_later_rows_get_their_messages(sweepless: World) -> None:
    (row,) = await prebooked_while_qstash_is_down(sweepless, 1)
    await sweep(sweepless)
    assert not sweepless.messages(row["id"])  # its own create may still be at it

    await aged(sweepless, row)
    await sweep(sweepless)
    (message,) = sweepless.messages(row["id"])
    assert (await sweepless.read(ANA, row["id"]))["qstash_schedule_id"] == message.id
    await sweep(sweepless)
    assert len(sweepless.messages(row["id"])) == 1


async def test_publishing_stops_at_the_first_failure_and_pauses(sweepless: World) -> None:
    for row in await prebooked_while_qstash_is_down(sweepless, 3):
        await aged(sweepless, row)
    fault = {"value": 503, "next": 10}
    sweepless.qstash.qstash.faults.change({"api_status": fault})
    await sweep(sweepless)
    await sweep(sweepless)
    left = sweepless.qstash.qstash.faults.api_status
    assert left is not None
    assert left.next == 9


async def test_a_message_that_is_refused_does_not_keep_the_others(sweepless: World) -> None:
    rows = await prebooked_while_qstash_is_down(sweepless, 3)
    for row in rows:
        await aged(sweepless, row)
    sweepless.qstash.qstash.faults.change({"api_status": {"value": 412, "next": 1}})
    await sweep(sweepless)
    await sweep(sweepless)  # that one has time
    assert [len(sweepless.messages(row["id"])) for row in rows] == [0, 1, 1]


async def waiting(world: World, count: int) -> list[UUID]:
    """Rows without a message that open tomorrow."""
    return [
        row["id"]
        for row in await world.database.fetch(
            "insert into public.prebookings"
            " (user_email, booking_data, available_at, box_subdomain, box_aimharder_id, created_at)"
            " select 'member' || n || '@example.com', jsonb_build_object('day', '20991231', 'id', n),"
            " now() + interval '1 day', 'mygym', '7', now() - interval '1 minute' from generate_series(1, $1) n"
            " returning id",
            count,
        )
    ]


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> Callable[[World], AsyncIterator[int]]:
    """A sweep a second, in a minute that takes no time."""

    async def run(world: World) -> AsyncIterator[int]:
        clock = world.services.sweeper._breaker._clock
        for second in range(60):
            monkeypatch.setattr(clock, "monotonic", lambda second=second: 1000.0 + second)
            yield second
            await sweep(world)

    return run


async def test_qstash_of_another_region_is_asked_at_most_15_times_a_minute_and_it_is_told_once(
    sweepless: World, minutes: Callable[[World], AsyncIterator[int]]
) -> None:
    await waiting(sweepless, 200)
    await sweepless.member(ANA)
    sweepless.qstash.qstash.faults.change({"other_region": {"value": True, "on": "any", "next": 9999}})
    with capture_logs() as lines:
        async for second in minutes(sweepless):
            if second % 4 == 0:
                row = await sweepless.prebook(ANA, sweepless.open_class(3600), id=1000 + second)
                assert row["qstash_schedule_id"] is None
    left = sweepless.qstash.qstash.faults.other_region
    assert left is not None
    assert 9999 - 15 <= (left.next or 0) <= 9999 - 3
    assert [line["event"] for line in lines if line["log_level"] != "info"] == ["ordering_paused"]


@pytest.mark.parametrize("status", [400, 413])
async def test_200_messages_that_are_refused_one_by_one_are_a_few_requests_a_minute(
    sweepless: World, minutes: Callable[[World], AsyncIterator[int]], status: int
) -> None:
    await waiting(sweepless, 200)
    sweepless.qstash.qstash.faults.change({"api_status": {"value": status, "next": 9999}})
    async for _ in minutes(sweepless):
        pass
    left = sweepless.qstash.qstash.faults.api_status
    assert left is not None
    assert left.next == 9999 - 10


async def test_a_database_that_fails_does_not_end_the_sweeping(database: asyncpg.Connection, outside: Outside) -> None:
    async with open_world(database, *outside, sweep_seconds=0.2) as world:
        await world.database.execute("alter function public.sweep_prebookings rename to sweep_prebookings_gone")
        try:
            world.qstash.qstash.faults.change({"lost": True})
            row = await prebook_open_class(world)
            await aged(world, row)
        finally:
            await world.database.execute("alter function public.sweep_prebookings_gone rename to sweep_prebookings")
        assert (await world.finished(ANA, row["id"]))["result"]["outcome"] == "booked"
