"""A line for few places: each in turn, the urgent first, and no place is lost to those who leave."""

import asyncio
from collections.abc import Callable

import pytest

from prebooking.adapters.line import Line


async def test_each_in_turn_but_the_urgent_before_those_who_came_before_them() -> None:
    line, order, all_stand = Line(1), list[str](), asyncio.Event()

    async def stand(name: str, *, urgent: bool = False) -> None:
        async with line.place(urgent=urgent, within_s=None):
            order.append(name)
            await all_stand.wait()

    async with asyncio.TaskGroup() as group:
        for name in ("first", "second", "third"):
            group.create_task(stand(name))
        await asyncio.sleep(0)
        for name in ("urgent", "urgent too"):
            group.create_task(stand(name, urgent=True))
        await asyncio.sleep(0)
        all_stand.set()
    assert order == ["first", "urgent", "urgent too", "second", "third"]


@pytest.mark.parametrize("urgent", [True, False])
async def test_who_is_not_served_in_time_is_told_and_takes_no_place_along(urgent: bool) -> None:  # noqa: FBT001
    line = Line(1)
    async with line.place(urgent=False, within_s=None):
        with pytest.raises(TimeoutError):
            async with line.place(urgent=urgent, within_s=0.01):
                pass
    async with line.place(urgent=False, within_s=0.01):
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
    line, served = Line(1), list[int]()
    end = asyncio.Event()

    async def hold() -> None:
        async with line.place(urgent=False, within_s=None):
            await end.wait()

    async def stand(number: int) -> None:
        async with line.place(urgent=False, within_s=None):
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
