"""A row that is made here wakes the sweep of this process in time."""

import asyncio
import math
import time
from datetime import UTC, datetime

from prebooking.usecases.sweep import SweepTimer


async def test_a_row_made_while_the_sweep_runs_cuts_the_next_pause_short() -> None:
    timer = SweepTimer(lead_s=3)
    await timer.sleep(time.time(), 0.01)
    # The sweep's query is under way and can't have seen this row.
    timer.wake_for(datetime.fromtimestamp(time.time() + 3.5, UTC))
    started = time.monotonic()
    await timer.sleep(time.time(), 5)
    assert time.monotonic() - started < 1


async def test_a_row_that_opens_after_the_pause_lets_the_sweep_sleep() -> None:
    timer = SweepTimer(lead_s=3)
    timer.wake_for(datetime.fromtimestamp(time.time() + 60, UTC))
    await timer.sleep(time.time(), 0.01)
    timer.wake_for(datetime.fromtimestamp(time.time() + 60, UTC))


async def test_time_that_passes_in_a_suspend_is_slept() -> None:
    suspended_s = 0.0
    timer = SweepTimer(lead_s=3, monotonic=lambda: time.monotonic() + suspended_s)
    sleeping = asyncio.create_task(timer.sleep(time.time(), 60))
    await asyncio.sleep(0)
    suspended_s = 70
    started = time.monotonic()
    await asyncio.wait_for(sleeping, 5)
    assert time.monotonic() - started < 2


async def test_while_the_time_is_unknown_whatever_is_made_ends_the_pause() -> None:
    timer = SweepTimer(lead_s=3)
    sleeping = asyncio.create_task(timer.sleep(math.inf, 60))
    await asyncio.sleep(0)
    timer.wake_for(datetime.fromtimestamp(time.time() + 3600, UTC))
    await asyncio.wait_for(sleeping, 2)
