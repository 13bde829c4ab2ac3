"""A few cells of the kill matrix, so that it stays alive; `make faults` plays all of them."""

import asyncio
import os

import pytest
from tests.reliability.faults.cases import cells
from tests.reliability.faults.environment import theatre
from tests.reliability.faults.runner import Terms, run

from prebooking_local.stack import UNLIMITED, Ports, outside

pytestmark = pytest.mark.skipif(
    "FAULT_TESTS" not in os.environ, reason="kills real processes, which wants a quiet machine: FAULT_TESTS=1"
)

CELLS = {
    "store.create:after while creating: kill, first",
    "messages.publish:after while creating: lose, first",
    "store.cancel:after while cancelling: kill, first",
    "store.claim:after while executing: kill, first",
    "store.begin:before while executing: stop, first",
    "held.fire:after while executing: lose, first",
    "store.release:before while releasing: lose, again",
}


async def test_what_is_killed_stopped_or_lost_ends_right_by_the_ledgers() -> None:
    chosen = [cell for cell in cells() if str(cell) in CELLS]
    assert len(chosen) == len(CELLS)
    async with outside(Ports(0, 0, 0, 0), LOG_LEVEL="CRITICAL", **UNLIMITED) as stack, theatre(stack) as house:
        results = await asyncio.gather(*(run(house, cell, Terms()) for cell in chosen))
    assert {str(result.cell): (result.wrong, result.evidence) for result in results if result.wrong} == {}
