"""The unmodified service, real SIGKILL: a replica that dies while it waits for an opening costs nobody the class.

KILLED_LEAD=90 kills at more instants of a longer lead, one opening after the other.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.processes.one_wish import broken_promises, lateness_ms, until, wish
from tests.reliability.faults.replica import Replica

from prebooking_local.serving import free_port
from prebooking_local.stack import Stack

LEAD_S = int(os.environ.get("KILLED_LEAD", "14"))
#: Seconds before the opening: soon after the claim, and as late as promised, with a renewal behind it.
KILLED = (LEAD_S - 0.5, 12.0) if LEAD_S < 20 else [12 + n * (LEAD_S - 12.5) / 4 for n in range(5)]
ON_TIME_MS = 500  # for a starved machine: the lease has ended seconds before
ENDED = "status not in ('pending', 'executing')"


@pytest.fixture
async def two(stack: Stack) -> AsyncIterator[tuple[Stack, Replica, Replica]]:
    """One that QStash rings at, and another that only sweeps."""
    long_before = {"LEAD_SECONDS": str(LEAD_S), "MAX_DURATION_SECONDS": str(LEAD_S + 7)}
    ports = free_port(), free_port()
    environment = stack.environment | long_before | {"PUBLIC_URL": f"http://127.0.0.1:{ports[0]}"}
    replicas = [Replica(port, environment) for port in ports]
    try:
        for one in replicas:
            await one.ready()
        doomed, other = replicas
        yield replace(stack, service_url=doomed.url), doomed, other
    finally:
        for one in replicas:
            one.kill()


@pytest.mark.parametrize("before_s", KILLED)
async def test_a_replica_killed_12_s_before_the_opening_or_sooner_is_made_up_for(
    two: tuple[Stack, Replica, Replica], before_s: float
) -> None:
    stack, doomed, _ = two
    wanted = await wish(stack, opens_in_s=LEAD_S + 0.5)
    await until(stack, wanted, "status = 'executing'")
    await asyncio.sleep((wanted.opens_at - datetime.now(UTC)).total_seconds() - before_s)

    doomed.kill()

    await asyncio.sleep((wanted.opens_at - datetime.now(UTC)).total_seconds())
    row = await until(stack, wanted, ENDED)
    assert (row["status"], row["attempts"]) == ("completed", 1)
    [late] = await lateness_ms(stack, wanted)
    assert late < ON_TIME_MS
    assert await broken_promises(stack, wanted) == []
