"""A line for few places: rank by rank, each in turn, and no place is lost to those who leave."""

import asyncio
from collections.abc import Callable

import pytest

from prebooking.concurrency.priority_semaphore import Priority, PrioritySemaphore


async def test_each_in_turn_but_a_higher_rank_before_those_who_came_before_it() -> None:
    line, order, all_stand = PrioritySemaphore(1), list[str](), asyncio.Event()

    async def stand(name: str, turn: Priority) -> None:
        async with line.place(turn, within_s=None):
            order.append(name)
            await all_stand.wait()

    async with asyncio.TaskGroup() as group:
        for turn in (Priority.OTHER, Priority.CLAIM, Priority.CLAIMED):
            for number in (1, 2):
                group.create_task(stand(f"{turn.name} {number}", turn))
            await asyncio.sleep(0)
        all_stand.set()
    assert order == ["OTHER 1", "CLAIMED 1", "CLAIMED 2", "CLAIM 1", "CLAIM 2", "OTHER 2"]


@pytest.mark.parametrize("turn", Priority)
async def test_who_is_not_served_in_time_is_told_and_takes_no_place_along(turn: Priority) -> None:
    line = PrioritySemaphore(1)
    async with line.place(Priority.OTHER, within_s=None):
        with pytest.raises(TimeoutError):
            async with line.place(turn, within_s=0.01):
                pass
    async with line.place(Priority.OTHER, within_s=0.01):
        pass


def _before(turn: asyncio.Task[None], give: Callable[[], None]) -> None:
    turn.cancel()
    give()


def _after(turn: asyncio.Task[None], give: Callable[[], None]) -> None:
    give()
    turn.cancel()


@pytest.mark.parametrize("leave", [_before, _after])
async def test_who_leaves_at_the_instant_of_its_turn_leaves_it_to_the_next(
    leave: Callable[[asyncio.Task[None], Callable[[], None]], None],
) -> None:
    line, served = PrioritySemaphore(1), list[int]()
    end = asyncio.Event()

    async def hold() -> None:
        async with line.place(Priority.OTHER, within_s=None):
            await end.wait()

    async def stand(number: int) -> None:
        async with line.place(Priority.OTHER, within_s=None):
            served.append(number)

    holding = asyncio.create_task(hold())
    await asyncio.sleep(0)
    leaving, next_one = (asyncio.create_task(stand(number)) for number in range(2))
    await asyncio.sleep(0)
    leave(leaving, line._give)
    await asyncio.gather(leaving, next_one, return_exceptions=True)
    end.set()
    await holding
    assert served == [1]
    assert line._free == 2  # the one given by hand, and the one that was held
