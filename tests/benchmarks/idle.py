"""How late do requests leave that wait on connections which the gym closes when idle? Beside the same without.

`python -m tests.benchmarks.idle [--members 20]`: two minutes. Each cell has a gym, a gate and an opening of its own.
"""

import argparse
import asyncio
import sys
import time

import structlog
from tests.support.held_requests import Opening

from prebooking.adapters.clock import SystemClock
from prebooking.domain.outcome import ReplyKind
from prebooking_local.aimharder import aimharder_server

IDLE_S = (None, 2, 5, 60)
LEAD_S = (3, 10, 60, 90)
_APART_S = 1.27  # no two cells open together, and none starts when another opens
_TO_PREPARE_S = 3.0


class _Clock(SystemClock):
    def time(self) -> float:
        return time.time()

    def nanoseconds(self) -> int:
        return time.time_ns()


async def cell(idle_s: float | None, lead_s: float, members: int, opens_in_s: float) -> str:
    """Starts `lead_s` before its opening. What its line of the table says."""
    await asyncio.sleep(opens_in_s - lead_s)
    async with aimharder_server() as gym:
        opening = Opening(_Clock(), gym, lead_s)
        if idle_s is not None:
            opening.inject_fault(kind="idle_timeout_s", seconds=idle_s)
        left = await asyncio.gather(*(opening.execute(n) for n in range(members)))
        late = sorted(1000 * late_s for _, late_s in left)
        booked = sum(reply.kind is ReplyKind.BOOKED for reply, _ in left)
    return (
        f"| {idle_s or 'none'} | {lead_s} | {late[len(late) // 2]:.2f} | {late[-1]:.2f} | {late[0]:.2f} "
        f"| {booked} of {members} | {opening.holds / members:.1f} |"
    )


async def main(members: int) -> None:
    cells = [(idle_s, lead_s) for lead_s in LEAD_S for idle_s in IDLE_S]
    longest = max(LEAD_S) + _TO_PREPARE_S
    lines = await asyncio.gather(
        *(cell(idle_s, lead_s, members, longest + n * _APART_S) for n, (idle_s, lead_s) in enumerate(cells))
    )
    head = [
        "| idle time-out, s | lead, s | late p50, ms | last | first | booked | holds each |",
        "|---" * 7 + "|",
    ]
    sys.stdout.write("\n".join([*head, *lines, ""]))


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=20)
    asyncio.run(main(parser.parse_args().members))
