"""A few cases of the kill matrix, so that it stays alive; `make faults` runs all of them."""

import asyncio
import os

import pytest
from tests.reliability.faults.cases import all_cases
from tests.reliability.faults.environment import open_infrastructure
from tests.reliability.faults.runner import Conditions, run

from prebooking_local.stack import UNLIMITED, Ports, outside

pytestmark = pytest.mark.skipif(
    "FAULT_TESTS" not in os.environ, reason="kills real processes, which wants a quiet machine: FAULT_TESTS=1"
)

CASES = {
    "store.create:after while creating: kill, first",
    "messages.publish:after while creating: lose, first",
    "store.cancel:after while cancelling: kill, first",
    "store.claim:after while executing: kill, first",
    "store.begin:before while executing: stop, first",
    "held.fire:after while executing: lose, first",
    "store.release:before while releasing: lose, again",
}


async def test_what_is_killed_stopped_or_lost_ends_right_by_the_ledgers() -> None:
    chosen = [case for case in all_cases() if str(case) in CASES]
    assert len(chosen) == len(CASES)
    async with (
        outside(Ports(0, 0, 0, 0), LOG_LEVEL="CRITICAL", **UNLIMITED) as stack,
        open_infrastructure(stack) as infrastructure,
    ):
        results = await asyncio.gather(*(run(infrastructure, case, Conditions()) for case in chosen))
    assert {str(result.case): (result.wrong, result.evidence) for result in results if result.wrong} == {}
