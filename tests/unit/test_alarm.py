"""A row that is made here wakes the sweep of this process in time."""

import time
from datetime import UTC, datetime

from prebooking.usecases.sweep import Alarm


async def test_a_row_made_while_the_sweep_looks_cuts_the_next_nap_short() -> None:
    alarm = Alarm(lead_s=3)
    await alarm.nap(time.time(), 0.01)
    # The sweep's query is under way and can't have seen this row.
    alarm.ring_for(datetime.fromtimestamp(time.time() + 3.5, UTC))
    started = time.monotonic()
    await alarm.nap(time.time(), 5)
    assert time.monotonic() - started < 1


async def test_a_row_that_opens_after_the_nap_lets_the_sweep_sleep() -> None:
    alarm = Alarm(lead_s=3)
    alarm.ring_for(datetime.fromtimestamp(time.time() + 60, UTC))
    await alarm.nap(time.time(), 0.01)
    alarm.ring_for(datetime.fromtimestamp(time.time() + 60, UTC))
