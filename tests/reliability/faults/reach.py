"""Is each point of the matrix still reached, in each operation and at each time? Nothing is judged.

    python -m tests.reliability.faults.reach        # a minute: a part of CI, so that no case of the matrix rots

A change of the service can take a point away from the scenario that leads to it. The matrix calls that a failure, but
takes long; this says the same in a fraction of the time, and names what can't be reached any more.
"""

import asyncio
import random
import sys

import httpx
from rich.console import Console
from tests.reliability.faults.cases import Case, all_cases
from tests.reliability.faults.environment import Infrastructure, open_infrastructure
from tests.reliability.faults.failpoints import Action
from tests.reliability.faults.runner import Conditions, reaches

from prebooking_local.stack import UNLIMITED, Ports, outside

_OUT = Console(width=160)
#: At a time, in one try after another. A busy machine may keep a scenario from its point; a change of the service does
#: that also when the scenario has the machine to itself.
_AT_ONCE = (16, 4, 1)


def once_each() -> list[Case]:
    """One case for all the faults of a point: how it is reached, none of them changes."""
    return [case for case in all_cases() if case.action is Action.LOSE]


async def not_reached(infrastructure: Infrastructure, cases: list[Case], at_once: int) -> list[Case]:
    places = asyncio.Semaphore(at_once)

    async def is_reached(case: Case) -> bool:
        async with places:
            try:
                return await reaches(infrastructure, case, Conditions())
            except (TimeoutError, OSError, RuntimeError, httpx.TransportError):  # of a start that took too long
                return False

    reached = await asyncio.gather(*map(is_reached, cases))
    return [case for case, is_ in zip(cases, reached, strict=True) if not is_]


async def main() -> int:
    chosen = once_each()
    random.shuffle(chosen)
    lost = chosen
    async with (
        outside(Ports(0, 0, 0, 0), LOG_LEVEL="CRITICAL", **UNLIMITED) as stack,
        open_infrastructure(stack) as infrastructure,
    ):
        for at_once in _AT_ONCE:
            lost = await not_reached(infrastructure, lost, at_once)
    for case in lost:
        _OUT.print(
            f"✗ {case.point} while {case.operation.name}, {case.when}: never reached", style="bold red", markup=False
        )
    _OUT.print(f"{len(chosen) - len(lost)} of {len(chosen)} points are reached, counted by operation and time.")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
