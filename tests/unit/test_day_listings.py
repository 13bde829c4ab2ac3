"""One poller a box and day: how often it asks, through whom, and whom it tells. In virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, cast
from uuid import UUID

import pytest
from tests.support.virtual_time_loop import Clock, VirtualTimeLoop

from prebooking.domain.classes import Listing
from prebooking.domain.errors import BoxBlockedError, BoxSilentError
from prebooking.domain.opening_clock import OpeningClock
from prebooking.domain.ports import Gym
from prebooking.usecases.booking.day_listings import DayListings, Watcher
from prebooking.usecases.booking.gate import Gate

MORNING = datetime(2026, 3, 1, 7, 0, tzinfo=UTC)
KEY = ("mygym.aimharder.com", "7", "20260305")


class Box:
    """Notes who asks and when, and answers as it is told to."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked: list[tuple[float, int]] = []
        self.under_way = self.most_at_once = 0
        self.takes_s = 0.01
        self.takes_of: dict[int, float] = {}
        self.answer: Callable[[int], Listing] = lambda _: Listing()

    def at(self, member: int) -> Gym:
        return cast("Gym", _Member(self, member))


class _Member:
    def __init__(self, box: Box, member: int) -> None:
        self.box, self.member = box, member

    async def listing(self, day: str, family_id: str) -> Listing:
        assert (day, family_id) == (KEY[2], "")
        box = self.box
        box.asked.append((box.clock.time(), self.member))
        box.under_way += 1
        box.most_at_once = max(box.most_at_once, box.under_way)
        try:
            await asyncio.sleep(box.takes_of.get(self.member, box.takes_s))
        finally:
            box.under_way -= 1
        return box.answer(self.member)


class Scene:
    def __init__(self) -> None:
        self.clock = Clock(cast("VirtualTimeLoop", asyncio.get_running_loop()))
        self.clock.start(MORNING)
        self.box = Box(self.clock)
        self.listings = DayListings(Gate(OpeningClock(self.clock)), OpeningClock(self.clock))
        self.told: list[int] = []

    def watch(self, member: int, opening: float, look: Callable[[Listing], None] | None = None) -> Callable[[], None]:
        told = look or (lambda _: self.told.append(member))
        rank = (MORNING, UUID(int=member))
        return self.listings.watch(KEY, Watcher(gym=self.box.at(member), opening=opening, rank=rank, look=told))


def leaping(scenario: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        await scenario(Scene())

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


def test_it_asks_each_half_second_then_each_100_ms_then_each_second_and_at_the_opening() -> None:
    async def scenario(scene: Scene) -> None:
        opening = scene.clock.time() + 2.25
        leave = scene.watch(1, opening)
        await asyncio.sleep(12)
        leave()
        asked = [at - opening for at, _ in scene.box.asked]
        assert 3 <= sum(at < 0 for at in asked) <= 5
        assert min(abs(at) for at in asked) < 0.01
        assert 40 <= sum(0 <= at < 5 for at in asked) <= 51
        assert 4 <= sum(at >= 5 for at in asked) <= 6
        await asyncio.sleep(5)
        assert len(scene.box.asked) == len(asked)  # nobody is left to ask for

    leaping(scenario)


def test_it_asks_once_for_all_through_one_member_and_tells_the_first_created_first() -> None:
    async def scenario(scene: Scene) -> None:
        scene.box.takes_s = 0.3
        for member in (3, 1, 2):
            scene.watch(member, scene.clock.time() - 1)
        await asyncio.sleep(3)
        assert scene.box.most_at_once == 1
        assert len({member for _, member in scene.box.asked}) == 1
        assert scene.told == [1, 2, 3] * (len(scene.told) // 3)
        assert len(scene.told) >= 6

    leaping(scenario)


def test_it_goes_on_with_another_member_where_one_gets_no_answer_or_is_done() -> None:
    async def scenario(scene: Scene) -> None:
        def only_two(member: int) -> Listing:
            if member != 2:
                raise BoxSilentError
            return Listing()

        scene.box.answer = only_two
        leaves = {member: scene.watch(member, scene.clock.time() - 1) for member in (1, 2, 3)}
        await asyncio.sleep(1)
        assert {member for _, member in scene.box.asked[2:]} == {2}
        scene.box.answer = lambda _: Listing()
        scene.box.takes_s = 1.0
        await asyncio.sleep(0.5)
        leaves.pop(2)()  # in the middle of its question
        scene.told.clear()
        await asyncio.sleep(3)
        assert scene.told[:2] == [1, 3]

    leaping(scenario)


@pytest.mark.parametrize("hanging", [{1}, {1, 2}])
def test_one_that_hangs_keeps_the_others_waiting_for_half_a_second_each(hanging: set[int]) -> None:
    async def scenario(scene: Scene) -> None:
        scene.box.takes_of = dict.fromkeys(hanging, 30.0)
        began = scene.clock.time()
        listed: list[float] = []
        scene.watch(1, began - 1, lambda _: listed.append(scene.clock.time() - began))
        for member in (2, 3, 4):
            scene.watch(member, began - 1)
        await asyncio.sleep(3)
        assert listed[0] <= 0.5 * len(hanging) + 0.2
        assert all(later - one <= 0.2 for one, later in pairwise(listed))  # whoever answered asks again
        assert scene.box.most_at_once <= 3

    leaping(scenario)


def test_a_box_of_which_all_hang_is_asked_by_three_at_once_at_most() -> None:
    async def scenario(scene: Scene) -> None:
        scene.box.takes_s = 30.0
        for member in range(1, 20):
            scene.watch(member, scene.clock.time() - 1)
        await asyncio.sleep(20)
        assert scene.box.most_at_once == len(scene.box.asked) == 3

    leaping(scenario)


@pytest.mark.parametrize("error", [RuntimeError("the client has been closed"), ValueError("a bug")])
def test_what_breaks_for_one_does_not_end_it_for_the_others(error: Exception) -> None:
    async def scenario(scene: Scene) -> None:
        def breaks(_: Listing) -> None:
            raise error

        def answer(member: int) -> Listing:
            if member == 1 and len(scene.box.asked) < 3:
                raise error
            return Listing()

        scene.box.answer = answer
        scene.watch(1, scene.clock.time() - 1, breaks)
        scene.watch(2, scene.clock.time() - 1)
        await asyncio.sleep(2)
        assert len(scene.told) >= 5

    leaping(scenario)


def test_a_box_that_has_had_enough_is_asked_ever_more_rarely_and_as_before_once_it_answers() -> None:
    async def scenario(scene: Scene) -> None:
        def blocked(_: int) -> Listing:
            raise BoxBlockedError

        scene.box.answer = blocked
        scene.watch(1, scene.clock.time() - 1)
        await asyncio.sleep(40)
        times = [at for at, _ in scene.box.asked]
        pauses = [later - at for at, later in pairwise(times)]
        assert [round(pause) for pause in pauses] == [1, 2, 4, 8, 10, 10]
        scene.box.answer = lambda _: Listing()
        await asyncio.sleep(45)
        times = [at for at, _ in scene.box.asked]
        assert times[-1] - times[-2] == pytest.approx(1, abs=0.2)

    leaping(scenario)


def test_who_joins_later_is_not_kept_waiting_by_the_pace_of_the_others() -> None:
    async def scenario(scene: Scene) -> None:
        scene.watch(1, scene.clock.time() - 60)
        await asyncio.sleep(1.5)
        joined = scene.clock.time()
        scene.watch(2, joined)
        await asyncio.sleep(1)
        assert sum(at > joined for at, _ in scene.box.asked) >= 7

    leaping(scenario)


def test_days_and_boxes_are_asked_apart() -> None:
    async def scenario(scene: Scene) -> None:
        scene.watch(1, scene.clock.time() - 60)
        other = Box(scene.clock)
        watcher = Watcher(gym=other.at(2), opening=0, rank=(MORNING, UUID(int=2)), look=lambda _: None)
        leave = scene.listings.watch(("another", *KEY[1:]), watcher)
        await asyncio.sleep(3)
        leave()
        assert len(other.asked) >= 2
        assert len(scene.box.asked) >= 2

    leaping(scenario)
