"""The shutdown of a process interrupts what has not begun, however often it is told."""

import asyncio

import pytest

from prebooking.concurrency.shutdown import Shutdown, ShutdownError


async def interrupted(shutdown: Shutdown) -> None:
    """Works until it is interrupted, and hears of the shutdown again while it unwinds."""
    async with shutdown.interruptible():
        try:
            await asyncio.sleep(10)
        finally:
            shutdown.begin()


async def test_a_second_signal_changes_nothing() -> None:
    shutdown = Shutdown()
    work = asyncio.create_task(interrupted(shutdown))
    await asyncio.sleep(0)
    shutdown.begin()
    with pytest.raises(ShutdownError):
        await work


async def test_what_begins_later_is_interrupted_at_once() -> None:
    shutdown = Shutdown()
    shutdown.begin()
    with pytest.raises(ShutdownError):
        await interrupted(shutdown)
