"""A row that is made here wakes the sweep of this process in time."""

import asyncio
import math
import time
from datetime import UTC, datetime

from prebooking.usecases.sweep import Alarm


async def test_a_row_made_while_the_sweep_looks_cuts_the_next_nap_short() -> None:
    alarm = Alarm(lead_s=3)
    await alarm.nap(time.time(), 0.01)
    # The sweep's query is under way and can't have seen this row.
    alarm.set_for(datetime.fromtimestamp(time.time() + 3.5, UTC))
    started = time.monotonic()
    await alarm.nap(time.time(), 5)
    assert time.monotonic() - started < 1


async def test_a_row_that_opens_after_the_nap_lets_the_sweep_sleep() -> None:
    alarm = Alarm(lead_s=3)
    alarm.set_for(datetime.fromtimestamp(time.time() + 60, UTC))
    await alarm.nap(time.time(), 0.01)
    alarm.set_for(datetime.fromtimestamp(time.time() + 60, UTC))


async def test_time_that_passes_in_a_suspend_is_slept() -> None:
    suspended_s = 0.0
    alarm = Alarm(lead_s=3, monotonic=lambda: time.monotonic() + suspended_s)
    napping = asyncio.create_task(alarm.nap(time.time(), 60))
    await asyncio.sleep(0)
    suspended_s = 70
    started = time.monotonic()
    await asyncio.wait_for(napping, 5)
    assert time.monotonic() - started < 2


async def test_while_the_time_is_unknown_whatever_is_made_ends_the_nap() -> None:
    alarm = Alarm(lead_s=3)
    napping = asyncio.create_task(alarm.nap(math.inf, 60))
    await asyncio.sleep(0)
    alarm.set_for(datetime.fromtimestamp(time.time() + 3600, UTC))
    await asyncio.wait_for(napping, 2)
