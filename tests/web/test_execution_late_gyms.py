"""A gym that opens a class later than announced: waited for, ever more rarely, until a limit that the user is told."""

from datetime import datetime
from typing import Any

import asyncpg
from tests.support.executions import ANA, bookings_asked, inject_fault, ran, shots
from tests.support.world import Outside, World, open_world

from prebooking.domain.delays import pause_before_late_opening


async def prebooked(world: World, *, opened_s: float, late_s: float, **data: Any) -> dict[str, Any]:
    """Ana's prebooking of a class that was to open so long ago; the gym opens it so long after that."""
    await world.member(ANA)
    inject_fault(world, "clock", seconds=-late_s, times=None)
    return await world.prebook(ANA, world.open_class(-opened_s), **data)


def test_the_pause_is_a_tenth_of_the_time_since_the_opening_within_bounds() -> None:
    for since_s, shortest, longest in ((-5, 0.1, 0.1), (0.5, 0.1, 0.1), (60, 4.8, 6), (180, 14.4, 18), (900, 24, 30)):
        pauses = [pause_before_late_opening(since_s) for _ in range(200)]
        assert shortest <= min(pauses) <= max(pauses) <= longest
        assert since_s < 60 or max(pauses) - min(pauses) > 0.05 * longest  # not all at one instant


async def test_a_claim_that_comes_too_early_is_no_attempt_and_is_released_for_a_tenth(sweepless: World) -> None:
    answered, row = await ran(sweepless, await prebooked(sweepless, opened_s=100, late_s=900))
    assert (answered.status, answered.outcome) == (503, "retry-later")
    assert 8 <= (answered.retry_after or 0) <= 11
    assert answered.took_s < 3  # it does not wait in vain
    assert (row["status"], row["attempts"]) == ("pending", 0)
    assert len(bookings_asked(sweepless)) == 1


async def test_a_gym_that_is_late_gets_few_requests_and_books_within_a_tenth(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, max_attempts=1) as world:
        row = await world.finished(ANA, (await prebooked(world, opened_s=20, late_s=27))["id"])
        opened_at = datetime.fromisoformat(row["available_at"]).timestamp()
        assert (row["result"]["outcome"], row["attempts"]) == ("booked", 1)
        fired_at = datetime.fromisoformat(row["result"]["timings"]["shots"][-1]["fired_at"]).timestamp()
        assert 27 <= fired_at - opened_at < 27 * 1.1 + 1.5  # for a starved machine
        assert len(bookings_asked(world)) <= 7


async def test_shots_become_rare_within_a_long_budget(database: asyncpg.Connection, outside: Outside) -> None:
    async with open_world(database, *outside, sweep_seconds=0, max_duration_seconds=30) as world:
        answered, row = await ran(world, await prebooked(world, opened_s=4, late_s=9))
        assert (answered.status, row["result"]["outcome"]) == (200, "booked")
        assert len(shots(row)) <= 13


async def test_past_the_limit_it_fails_and_says_what_the_limit_is(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, too_early_minutes=2) as world:
        _, row = await ran(world, await prebooked(world, opened_s=121, late_s=900))
    assert (row["status"], row["error_code"], row["attempts"]) == ("failed", "too_early", 1)
    told = "The gym had not opened the class 2 minutes after the announced opening, and that is the limit. ("
    assert row["error_message"].startswith(told)


async def test_other_failures_still_use_up_the_attempts(database: asyncpg.Connection, outside: Outside) -> None:
    async with open_world(database, *outside, sweep_seconds=0, max_attempts=1) as world:
        await world.member(ANA)
        inject_fault(world, "status", status=429, times=None)
        _, row = await ran(world, await world.prebook(ANA, world.open_class(-100)))
    assert (row["status"], row["error_code"]) == ("failed", "blocked")
