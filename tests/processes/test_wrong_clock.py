"""A host whose clock is wrong, as a whole process sees it: deliveries are still believed, the gate still met."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.processes.one_wish import broken_promises, deliveries, lateness_ms, until, wish

from prebooking_local.stack import Stack, service

ON_TIME_MS = 500  # for a starved machine: each clock here is seconds off
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed (Debian: apt install faketime)")
@pytest.mark.parametrize("offset_s", [-20, -5, 5, 20])
async def test_a_clock_that_is_seconds_off_fires_on_time_and_never_early(stack: Stack, offset_s: int) -> None:
    off = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{offset_s:+}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    off["SWEEP_SECONDS"] = "0"  # it is the delivery that must be believed
    async with service(replace(stack, environment=stack.environment | off)):
        wanted = await wish(stack, opens_in_s=4)
        row = await until(stack, wanted, "status not in ('pending', 'executing')")
        assert (row["status"], row["attempts"]) == ("completed", 1)
        assert await deliveries(stack, row) == [(200, "booked")]
        [late] = await lateness_ms(stack, wanted)
        assert late < ON_TIME_MS
        assert await broken_promises(stack, wanted) == []
