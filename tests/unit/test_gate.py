"""The gate: prepared requests leave at the opening, not before, the oldest prebooking first."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.support.fake_clock import FakeClock

from prebooking.domain.opening_clock import OpeningClock
from prebooking.usecases.booking.gate import Gate, Rank

MORNING = datetime(2026, 3, 1, 7, 0, tzinfo=UTC)


def rank(n: int) -> Rank:
    return MORNING + timedelta(seconds=n), UUID(int=0)


class Opening:
    """One opening, two seconds ahead, and who left when."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.gate = Gate(OpeningClock(self.clock))
        self.at = self.clock.true_time + 2
        self.left: list[tuple[int, float]] = []

    def leave(self, n: int) -> Callable[[], None]:
        return lambda: self.left.append((n, self.clock.true_time))

    def waiter(self, n: int) -> Awaitable[None]:
        return self.gate.pass_through(self.at, rank(n), self.leave(n))

    @property
    def order(self) -> list[int]:
        return [n for n, _ in self.left]


@pytest.fixture
def opening() -> Opening:
    return Opening()


async def test_nobody_leaves_before_the_opening_nor_visibly_after(opening: Opening) -> None:
    await asyncio.gather(*(opening.waiter(n) for n in range(30)))
    assert len(opening.left) == 30
    assert all(0 <= at - opening.at < 0.005 for _, at in opening.left)


async def test_the_oldest_prebooking_leaves_first_whoever_arrived_first(opening: Opening) -> None:
    await asyncio.gather(*(opening.waiter(n) for n in (3, 1, 4, 0, 2)))
    assert opening.order == [0, 1, 2, 3, 4]


async def test_of_two_created_at_one_instant_the_smaller_id_leaves_first(opening: Opening) -> None:
    ranks = [(MORNING, UUID(int=n)) for n in (2, 1)]
    await asyncio.gather(*(opening.gate.pass_through(opening.at, each, opening.leave(each[1].int)) for each in ranks))
    assert opening.order == [1, 2]


async def test_all_leave_in_one_go_with_nothing_in_between(opening: Opening) -> None:
    interlopers: list[int] = []

    def leave(n: int) -> None:
        opening.leave(n)()
        asyncio.get_running_loop().call_soon(lambda: interlopers.append(len(opening.left)))

    await asyncio.gather(*(opening.gate.pass_through(opening.at, rank(n), lambda n=n: leave(n)) for n in range(5)))  # type: ignore[misc]  # mypy can't infer a default of a lambda
    await asyncio.sleep(0)
    assert interlopers == [5] * 5


async def test_who_comes_after_the_opening_leaves_at_once(opening: Opening) -> None:
    opening.clock.true_time = opening.at + 0.5
    await opening.waiter(1)
    assert opening.order == [1]
    assert opening.left[0][1] - opening.at < 0.501
    assert not opening.clock.slept


async def test_two_openings_do_not_wait_for_each_other(opening: Opening) -> None:
    later = opening.gate.pass_through(opening.at + 60, rank(0), opening.leave(0))
    await asyncio.gather(later, opening.waiter(1))
    assert opening.order == [1, 0]
    assert opening.left[1][1] >= opening.at + 60


async def test_a_cancelled_waiter_is_gone_and_the_others_leave(opening: Opening) -> None:
    tasks = [asyncio.ensure_future(opening.waiter(n)) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert tasks[1].cancelled()
    assert opening.order == [0, 2]


async def test_one_cancelled_at_the_very_instant_of_the_opening_does_not_leave(opening: Opening) -> None:
    tasks = [asyncio.ensure_future(opening.waiter(n)) for n in range(3)]

    def cancel_at_the_opening() -> None:
        if opening.clock.true_time >= opening.at:
            tasks[1].cancel()

    opening.clock.on_look = cancel_at_the_opening
    await asyncio.wait(tasks, timeout=5)
    assert tasks[1].cancelled()
    assert opening.order == [0, 2]


async def test_when_all_are_cancelled_the_gate_opens_for_nobody(opening: Opening) -> None:
    task = asyncio.ensure_future(opening.waiter(0))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await opening.waiter(1)
    assert opening.order == [1]


async def test_one_whose_write_fails_does_not_keep_the_others(opening: Opening) -> None:
    def fail() -> None:
        raise OSError("no route")

    answers = await asyncio.wait_for(
        asyncio.gather(
            opening.waiter(0),
            opening.gate.pass_through(opening.at, rank(1), fail),
            opening.waiter(2),
            return_exceptions=True,
        ),
        5,
    )
    assert opening.order == [0, 2]
    assert isinstance(answers[1], OSError)


async def test_each_request_is_warmed_shortly_before_the_opening_and_none_in_the_last_instant(opening: Opening) -> None:
    warmed: list[tuple[int, float]] = []

    def warm(n: int) -> Callable[[], None]:
        return lambda: warmed.append((n, opening.at - opening.clock.true_time))

    fired = [opening.gate.pass_through(opening.at, rank(n), opening.leave(n), warm(n)) for n in range(150)]
    await asyncio.gather(*fired)
    assert {n for n, _ in warmed} == set(range(150))
    assert all(0.00004 < ahead < 0.003 for _, ahead in warmed)
    assert opening.order == list(range(150))


async def test_a_request_that_fails_to_be_warmed_is_fired_like_the_others(opening: Opening) -> None:
    def fail() -> None:
        raise OSError("closed")

    await opening.gate.pass_through(opening.at, rank(0), opening.leave(0), fail)
    assert opening.order == [0]


async def test_a_busy_event_loop_does_not_make_the_gate_late(opening: Opening) -> None:
    def busy() -> None:  # each return to the loop costs four milliseconds
        opening.clock.true_time += 0.004

    opening.clock.on_sleep = busy
    await asyncio.gather(*(opening.waiter(n) for n in range(3)))
    assert all(0 <= at - opening.at < 0.0005 for _, at in opening.left)


async def test_in_the_last_moments_before_an_opening_nothing_new_is_started(opening: Opening) -> None:
    started: list[float] = []

    async def newcomer() -> None:
        await opening.gate.quiet()
        started.append(opening.clock.true_time)

    def arrive() -> None:
        if opening.at - opening.clock.true_time < 0.1 and len(tasks) == 1:
            tasks.append(asyncio.ensure_future(newcomer()))

    tasks = [asyncio.ensure_future(opening.waiter(0))]
    opening.clock.on_sleep = arrive
    await tasks[0]
    await tasks[1]
    assert started[0] >= opening.at


async def test_well_before_an_opening_and_without_one_nothing_is_held_up(opening: Opening) -> None:
    await opening.gate.quiet()
    task = asyncio.ensure_future(opening.waiter(0))
    await asyncio.sleep(0)
    await opening.gate.quiet()
    assert opening.clock.true_time < opening.at - 1
    await task


async def test_garbage_is_not_collected_while_requests_leave(opening: Opening) -> None:
    collecting: list[bool] = []
    await opening.gate.pass_through(opening.at, rank(0), lambda: collecting.append(gc.isenabled()))
    assert collecting == [False]
    assert gc.isenabled()


@pytest.mark.parametrize("seconds", [0.0, 0.0005, 0.01, 3.0, 600.0])
async def test_a_long_sleep_is_taken_in_shrinking_steps_and_never_ends_early(seconds: float) -> None:
    clock = FakeClock()
    instant = clock.true_time + seconds
    await OpeningClock(clock).sleep_until(instant)
    assert 0 <= clock.true_time - instant < 0.001
