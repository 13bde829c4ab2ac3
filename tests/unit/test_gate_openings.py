"""Many openings at one gate: one approach, to the earliest; whoever is due leaves first."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import pytest
from tests.support.fake_clock import FakeClock
from tests.support.virtual_time_loop import Clock, VirtualTimeLoop

from prebooking.domain.opening_clock import OpeningClock
from prebooking.usecases.booking.gate import Gate, Rank

MORNING = datetime(2026, 3, 1, 7, 0, tzinfo=UTC)
RANK: Rank = (MORNING, UUID(int=0))
_OPENINGS, _SPREAD_S = 150, 1.0


class Busy:
    """A process whose event loop has other work: openings, and by how much each was met."""

    def __init__(self, seed: int) -> None:
        self.loop = VirtualTimeLoop()
        self.clock = Clock(self.loop)
        self.clock.start(MORNING)
        self.gate = Gate(OpeningClock(self.clock))
        self.random = Random(seed)
        self.late_s: dict[int, float] = {}
        self.work_s: list[float] = []  #: what fifteen small steps after each write took

    def compute(self, seconds: float) -> None:
        """Nothing else runs in the loop meanwhile."""
        self.loop.jump(round(seconds * 1e9))

    async def member(self, number: int, opening: float) -> None:
        await asyncio.sleep(0.2 * self.random.random())
        await self.gate.pass_through(opening, RANK, lambda: self.fired(number, opening))
        began = self.clock.time()
        for _ in range(15):
            await asyncio.sleep(0.0005 * self.random.random())
            self.compute(0.0004 * self.random.random())
        self.work_s.append(self.clock.time() - began)

    def fired(self, number: int, opening: float) -> None:
        self.late_s[number] = self.clock.time() - opening

    async def others(self) -> None:
        """A third of the loop's time."""
        while True:
            await asyncio.sleep(0.006 * self.random.random())
            self.compute(0.002 * self.random.random())

    async def openings(self) -> None:
        base = self.clock.time() + 1
        others = asyncio.create_task(self.others())
        numbers = self.random.sample(range(_OPENINGS), _OPENINGS)
        await asyncio.gather(*(self.member(n, base + _SPREAD_S * n / _OPENINGS) for n in numbers))
        others.cancel()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            self.loop.run_until_complete(work)
        finally:
            self.loop.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_openings_near_each_other_are_all_met_in_their_order(seed: int) -> None:
    busy = Busy(seed)
    busy.run(busy.openings())
    assert list(busy.late_s) == list(range(_OPENINGS))
    assert min(busy.late_s.values()) >= 0
    # As late as the loop is away, and no later.
    assert max(busy.late_s.values()) < 0.015


def test_openings_near_each_other_leave_the_event_loop_its_time() -> None:
    busy = Busy(1)
    busy.run(busy.openings())
    assert sum(busy.work_s) / len(busy.work_s) < 0.05


class Day:
    """Openings at a fake clock, by their distance, in the order in which they were let go."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.gate = Gate(OpeningClock(self.clock))
        self.start = self.clock.true_time
        self.left: list[float] = []

    def leave(self, after_s: float) -> Callable[[], None]:
        return lambda: self.left.append(after_s)

    def wait_for(self, after_s: float) -> asyncio.Task[None]:
        return asyncio.create_task(self.gate.pass_through(self.start + after_s, RANK, self.leave(after_s)))


@pytest.fixture
def day() -> Day:
    return Day()


async def test_an_earlier_opening_that_comes_later_is_approached_at_once(day: Day) -> None:
    came: list[asyncio.Task[None]] = []

    def come() -> None:
        if not came and day.clock.true_time > day.start + 10:
            came.append(day.wait_for(10.8))

    day.clock.on_sleep = come
    await day.wait_for(60)
    assert came[0].done()
    assert day.left == [10.8, 60]


async def test_who_comes_too_late_leaves_after_those_who_are_due_for_an_earlier_opening(day: Day) -> None:
    earlier = day.wait_for(2)
    await asyncio.sleep(0)
    day.clock.true_time += 5  # the event loop was away
    await day.gate.pass_through(day.start + 4, RANK, day.leave(4))
    assert day.left == [2, 4]
    await earlier


async def test_openings_that_are_due_together_leave_in_their_order(day: Day) -> None:
    waiting = [day.wait_for(after_s) for after_s in (2.003, 2.001, 2.002)]
    await asyncio.sleep(0)
    day.clock.true_time += 5
    await asyncio.wait(waiting)
    assert day.left == [2.001, 2.002, 2.003]


async def test_for_whom_nobody_waits_any_more_nothing_is_held_up(day: Day) -> None:
    cancelled, later = day.wait_for(0.05), day.wait_for(30)
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    await day.gate.quiet()
    assert day.clock.true_time < day.start + 0.05
    await later
    assert day.left == [30]


async def test_after_each_opening_the_event_loop_has_a_turn(day: Day) -> None:
    turns: set[int] = set()
    following = [
        asyncio.create_task(
            day.gate.pass_through(day.start + 2 + 0.0005 * n, RANK, lambda: turns.add(len(day.clock.slept)))
        )
        for n in range(50)
    ]
    await asyncio.wait(following)
    assert len(turns) == 50


async def test_quiet_ends_though_opening_follows_upon_opening(day: Day) -> None:
    following = [day.wait_for(0.05 * n) for n in range(1, 100)]
    await asyncio.sleep(0)
    await day.gate.quiet()
    assert day.clock.true_time < day.start + 0.2
    await asyncio.wait(following)
    assert len(day.left) == 99


async def test_garbage_is_collected_though_opening_follows_upon_opening(day: Day) -> None:
    following = [day.wait_for(0.05 * n) for n in range(1, 200)]
    collecting: list[bool] = []
    day.clock.on_sleep = lambda: collecting.append(gc.isenabled())
    await asyncio.wait(following)
    assert 2 <= sum(collecting) < len(collecting) / 2
    assert gc.isenabled()


async def test_no_sleep_before_an_opening_is_long_enough_to_miss_what_passed_in_a_suspend(day: Day) -> None:
    await day.wait_for(600)
    assert max(day.clock.slept) <= 0.5
