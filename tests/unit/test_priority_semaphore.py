"""Waiters are served by priority, then in the order of arrival; no slot is lost to those who leave."""

import asyncio
from collections.abc import Callable

import pytest

from prebooking.concurrency.priority_semaphore import Priority, PrioritySemaphore


async def test_waiters_are_served_by_priority_and_then_in_the_order_of_arrival() -> None:
    semaphore, order, all_stand = PrioritySemaphore(1), list[str](), asyncio.Event()

    async def stand(name: str, priority: Priority) -> None:
        async with semaphore.acquire(priority, within_s=None):
            order.append(name)
            await all_stand.wait()

    async with asyncio.TaskGroup() as group:
        for priority in reversed(Priority):
            for number in (1, 2):
                group.create_task(stand(f"{priority.name} {number}", priority))
            await asyncio.sleep(0)
        all_stand.set()
    behind = [f"{priority.name} {number}" for priority in Priority for number in (1, 2) if priority != Priority.OTHER]
    assert order == ["OTHER 1", *behind, "OTHER 2"]


@pytest.mark.parametrize("priority", Priority)
async def test_a_waiter_that_times_out_takes_no_slot_along(priority: Priority) -> None:
    semaphore = PrioritySemaphore(1)
    async with semaphore.acquire(Priority.OTHER, within_s=None):
        with pytest.raises(TimeoutError):
            async with semaphore.acquire(priority, within_s=0.01):
                pass
    async with semaphore.acquire(Priority.OTHER, within_s=0.01):
        pass


def _before(waiter: asyncio.Task[None], release: Callable[[], None]) -> None:
    waiter.cancel()
    release()


def _after(waiter: asyncio.Task[None], release: Callable[[], None]) -> None:
    release()
    waiter.cancel()


@pytest.mark.parametrize("leave", [_before, _after])
async def test_a_waiter_that_leaves_at_the_instant_of_its_grant_leaves_the_slot_to_the_next(
    leave: Callable[[asyncio.Task[None], Callable[[], None]], None],
) -> None:
    semaphore, served = PrioritySemaphore(1), list[int]()
    end = asyncio.Event()

    async def hold() -> None:
        async with semaphore.acquire(Priority.OTHER, within_s=None):
            await end.wait()

    async def stand(number: int) -> None:
        async with semaphore.acquire(Priority.OTHER, within_s=None):
            served.append(number)

    holding = asyncio.create_task(hold())
    await asyncio.sleep(0)
    leaving, next_one = (asyncio.create_task(stand(number)) for number in range(2))
    await asyncio.sleep(0)
    leave(leaving, semaphore._release)
    await asyncio.gather(leaving, next_one, return_exceptions=True)
    end.set()
    await holding
    assert served == [1]
    assert semaphore._free == 2  # the one given by hand, and the one that was held
