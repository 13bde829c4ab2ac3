"""The unmodified service as a process, real signals: a deploy around an opening costs nobody the class."""

import asyncio
import signal
from dataclasses import replace
from datetime import UTC, datetime

from tests.processes.one_wish import broken_promises, lateness_ms, until, wish
from tests.reliability.faults.replica import Replica

from prebooking_local.serving import free_port
from prebooking_local.stack import Stack, service

ENDED = "status not in ('pending', 'executing')"


async def test_a_deploy_before_the_opening_hands_it_to_the_next_replica_in_time(stack: Stack) -> None:
    port = free_port()
    long_before = {"LEAD_SECONDS": "8", "MAX_DURATION_SECONDS": "15"}
    stack = replace(stack, environment=stack.environment | long_before)
    async with service(stack):
        old = stack.processes["service"]
        new = Replica(port, stack.environment | {"PUBLIC_URL": f"http://127.0.0.1:{port}"})
        try:
            await new.ready()
            wanted = await wish(stack, opens_in_s=9)
            await until(stack, wanted, "status = 'executing'")

            old.send_signal(signal.SIGTERM)

            await asyncio.wait_for(old.wait(), 30)
            row = await until(stack, wanted, ENDED)
            assert (row["status"], row["attempts"]) == ("completed", 1)
            [late] = await lateness_ms(stack, wanted)
            assert late < 1000
            assert await broken_promises(stack, wanted) == []
        finally:
            new.kill()


async def test_a_deploy_at_the_opening_finishes_what_has_begun(stack: Stack) -> None:
    async with service(stack):
        wanted = await wish(stack, opens_in_s=5)
        await until(stack, wanted, "booking_started_at is not null")
        await asyncio.sleep((wanted.opens_at - datetime.now(UTC)).total_seconds() - 1)  # it has long heard so itself

        stack.processes["service"].send_signal(signal.SIGTERM)

        row = await until(stack, wanted, ENDED)
        assert row["status"] == "completed"
        [late] = await lateness_ms(stack, wanted)
        assert late < 1000
        assert await broken_promises(stack, wanted) == []
        await asyncio.wait_for(stack.processes["service"].wait(), 30)
