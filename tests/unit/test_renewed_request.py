"""A request that waits is ready at its opening, whatever becomes of its connections meanwhile.

Real sockets, and the local gym, in leaping time: a minute of it costs milliseconds.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import pytest
from structlog.testing import capture_logs
from tests.support.held_requests import START, Opening
from tests.support.virtual_time_loop import Clock, VirtualTimeLoop

from prebooking.domain.outcome import Reply, ReplyKind
from prebooking_local.aimharder import aimharder_server

_T = TypeVar("_T")
MEMBERS = 5
ON_TIME_S = 0.002


def leaping(scenario: Callable[[Opening], Coroutine[Any, Any, _T]], lead_s: float) -> _T:
    async def run() -> _T:
        clock = Clock(cast("VirtualTimeLoop", asyncio.get_running_loop()))
        clock.start(START)
        async with aimharder_server(clock=clock.nanoseconds) as gym:
            return await scenario(Opening(clock, gym, lead_s))

    random.seed(13)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())


@pytest.mark.parametrize("lead_s", [3, 10, 60, 90])
@pytest.mark.parametrize("idle_s", [0.5, 2, 5, 20, 60, None])
def test_all_leave_on_time_however_soon_the_gym_closes_idle_connections(idle_s: float | None, lead_s: float) -> None:
    async def scenario(opening: Opening) -> list[tuple[Reply, float]]:
        if idle_s is not None:
            opening.inject_fault(kind="idle_timeout_s", seconds=idle_s)
        left = await asyncio.gather(*(opening.execute(n) for n in range(MEMBERS)))
        assert opening.booked == MEMBERS
        assert opening.holds <= (4 if idle_s is None or idle_s >= 2 else 6) * MEMBERS  # and no more than it takes
        return left

    for reply, late_s in leaping(scenario, lead_s):
        assert reply.kind is ReplyKind.BOOKED
        assert 0 <= late_s < ON_TIME_S


@pytest.mark.parametrize("lead_s", [60, 90])
def test_all_leave_on_time_where_idle_connections_are_forgotten_without_a_word(lead_s: float) -> None:
    async def scenario(opening: Opening) -> list[tuple[Reply, float]]:
        opening.inject_fault(kind="idle_drop_s", seconds=35)
        return await asyncio.gather(*(opening.execute(n) for n in range(MEMBERS)))

    for reply, late_s in leaping(scenario, lead_s):
        assert reply.kind is ReplyKind.BOOKED
        assert 0 <= late_s < ON_TIME_S


@pytest.mark.parametrize("before_s", [80, 20, 3, 0.5, 0.2])
def test_one_that_is_closed_by_chance_is_held_anew_at_once(before_s: float) -> None:
    async def scenario(opening: Opening) -> tuple[Reply, float]:
        opening.before(before_s, opening.close_connections)
        executing = asyncio.create_task(opening.execute())
        await opening.clock.sleep(opening.at - opening.clock.time() - before_s)
        held_before = opening.holds
        await opening.clock.sleep(min(1.0, before_s / 4) + 0.01)  # the longest pause, and the reconnect
        assert opening.holds > held_before
        return await executing

    reply, late_s = leaping(scenario, 90)
    assert reply.kind is ReplyKind.BOOKED
    assert 0 <= late_s < ON_TIME_S


def test_with_a_usual_lead_and_a_usual_gym_nothing_is_held_anew() -> None:
    async def scenario(opening: Opening) -> int:
        await opening.execute()
        return opening.holds

    assert [leaping(scenario, lead_s) for lead_s in (3, 10, 20)] == [1, 1, 1]


def test_a_crowd_does_not_renew_at_one_instant() -> None:
    async def scenario(opening: Opening) -> list[float]:
        instants: list[float] = []
        opening.on_hold = lambda: instants.append(opening.at - opening.clock.time())
        await asyncio.gather(*(opening.execute(n) for n in range(20)))
        return instants[20:]

    renewed = leaping(scenario, 90)
    assert len(renewed) == 20
    assert max(renewed) - min(renewed) > 10
    assert all(12 <= before_s <= 31 for before_s in renewed)


def test_a_renewal_keeps_the_old_connection_until_the_new_one_is_ready() -> None:
    async def scenario(opening: Opening) -> tuple[Reply, float]:
        def nobody_new() -> None:
            opening.inject_fault(kind="refuse")

        opening.before(89, nobody_new)
        return await opening.execute()

    reply, late_s = leaping(scenario, 90)
    assert reply.kind is ReplyKind.BOOKED
    assert 0 <= late_s < ON_TIME_S


def test_a_renewal_that_comes_too_late_is_not_used() -> None:
    async def scenario(opening: Opening) -> tuple[Reply, float, int]:
        async with opening.visited() as (gym, request):
            opening.slowness_s = 40
            kept = await opening.keep(gym, request)
            await opening.clock.sleep(60)
            assert opening.holds == 2
            kept.fire()
            await opening.clock.sleep(40)
            reply, late_s = await kept.reply(within_s=5), (kept.fired_at or 0) - opening.at
            await kept.aclose()
        return reply, late_s, opening.booked

    reply, late_s, booked = leaping(scenario, 60)
    assert (reply.kind, booked) == (ReplyKind.BOOKED, 1)
    assert abs(late_s) < 1


def test_one_that_cannot_be_held_anew_is_tried_until_it_can() -> None:
    async def scenario(opening: Opening) -> tuple[Reply, float]:
        def outage() -> None:
            opening.close_connections()
            opening.inject_fault(kind="refuse", seconds=5)

        opening.before(6, outage)
        return await opening.execute()

    reply, late_s = leaping(scenario, 10)
    assert reply.kind is ReplyKind.BOOKED
    assert 0 <= late_s < ON_TIME_S


def test_one_that_is_closed_in_the_last_moments_leaves_as_soon_as_it_is_held_anew() -> None:
    async def scenario(opening: Opening) -> tuple[Reply, float]:
        opening.before(0.05, opening.close_connections)
        return await opening.execute()

    reply, late_s = leaping(scenario, 3)
    assert reply.kind is ReplyKind.BOOKED
    assert 0 <= late_s < 0.5


def test_one_that_is_not_held_by_the_opening_never_left_and_another_may_follow() -> None:
    async def scenario(opening: Opening) -> tuple[Reply, float]:
        def outage() -> None:
            opening.close_connections()
            opening.inject_fault(kind="refuse")

        opening.before(2, outage)
        return await opening.execute()

    reply, late_s = leaping(scenario, 3)
    assert (reply.kind, late_s) == (ReplyKind.NEVER_LEFT, -1)


def test_one_that_may_not_leave_any_more_at_the_opening_does_not() -> None:
    async def scenario(opening: Opening) -> tuple[Reply, float]:
        opening.may_send = False
        left = await opening.execute()
        assert not opening.booked
        return left

    reply, late_s = leaping(scenario, 3)
    assert (reply.kind, late_s) == (ReplyKind.NEVER_LEFT, -1)


def test_one_that_may_not_leave_any_more_when_it_is_ready_does_not() -> None:
    async def scenario(opening: Opening) -> tuple[Reply, float]:
        def forbid() -> None:
            opening.may_send = opening.holds < 2

        opening.on_hold = forbid
        opening.before(0.05, opening.close_connections)
        left = await opening.execute()
        assert not opening.booked
        return left

    reply, late_s = leaping(scenario, 3)
    assert (reply.kind, late_s) == (ReplyKind.NEVER_LEFT, -1)


def test_nothing_is_held_anew_in_the_last_moments_before_an_opening() -> None:
    async def scenario(opening: Opening) -> list[float]:
        instants: list[float] = []
        opening.on_hold = lambda: instants.append(opening.at - opening.clock.time())
        opening.before(0.05, lambda: opening.close_connections(1))
        await asyncio.gather(*(opening.execute(n) for n in range(2)))
        return instants[2:]

    renewed = leaping(scenario, 3)
    assert renewed
    assert max(renewed) <= 0


def test_a_gym_that_closes_each_connection_at_once_is_not_stormed() -> None:
    async def scenario(opening: Opening) -> int:
        opening.before(50, lambda: opening.inject_fault(kind="idle_timeout_s", seconds=0.02))
        await opening.execute()
        return opening.holds

    assert leaping(scenario, 60) <= 10


@pytest.mark.parametrize("at_s", [0.5, 2.5])
def test_one_that_is_given_up_while_it_is_held_or_between_two_leaves_nothing_behind(at_s: float) -> None:
    async def scenario(opening: Opening) -> int:
        async with opening.visited() as (gym, request):
            kept = await opening.keep(gym, request)
            opening.before(8, opening.close_connections)
            await opening.clock.sleep(at_s)
            await kept.aclose()
            kept.fire()
            holds = opening.holds
            await opening.clock.sleep(60)
            assert opening.holds == holds
        return opening.booked

    assert leaping(scenario, 10) == 0


def test_what_is_held_anew_is_told_with_its_reason() -> None:
    async def scenario(opening: Opening) -> None:
        opening.inject_fault(kind="idle_timeout_s", seconds=20)
        await opening.execute()

    with capture_logs() as logged:
        leaping(scenario, 90)
    lines = [line for line in logged if line["event"] == "connection_renewed"]
    assert [(line["reason"], line["idle_s"]) for line in lines] == [("closed", 20.0), ("closed", 20.0)]
    assert 6 <= lines[-1]["ahead_s"] <= 15
