"""The unmodified service: whatever strangers send, it stays small, and others are answered."""

import resource
from statistics import median

import pytest
from tests.processes.strangers import ATTACKS, MIB, Wire, dial, head, measure

from prebooking_local.stack import Stack, service


@pytest.mark.parametrize("names", [["trailers"], ["unsigned_body"], ["pipelined_bodies"], [*ATTACKS]])
async def test_whatever_strangers_send_the_service_stays_small_and_answers_others(
    stack: Stack, names: list[str]
) -> None:
    async with service(stack):
        found = await measure(stack, names, connections=max(40, len(names)), seconds=2)
    assert found.most - found.before < 40 * MIB
    assert len(found.took_s) > 10
    assert median(found.took_s) < 0.1  # on a machine that does other things besides


async def test_three_thousand_idle_connections_keep_nobody_out(stack: Stack) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4000), hard))
    idle: list[Wire] = []
    try:
        async with service(stack):
            idle.extend([await dial(stack.service_url) for _ in range(3100)])
            for line in ("GET /healthz", "POST /qstash/prebooking-execute"):
                wire = await dial(stack.service_url)
                idle.append(wire)
                await wire.send(head(line))
                assert (await wire.read())[:12] in (b"HTTP/1.1 200", b"HTTP/1.1 401")
    finally:
        for wire in idle:
            wire.sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
