"""Is each point of the matrix still reached, in each story and at each time? Nothing is healed and nothing judged.

    python -m tests.reliability.faults.reach        # a minute: a part of CI, so that no cell of the matrix rots

A change of the service can take a point away from the play that leads to it. The matrix calls that a failure, but
takes long; this says the same in a fraction of the time, and names what can't be reached any more.
"""

import asyncio
import random
import sys

from rich.console import Console
from tests.reliability.faults.cases import Cell, cells
from tests.reliability.faults.environment import theatre
from tests.reliability.faults.failpoints import Action
from tests.reliability.faults.runner import Terms, reaches

from prebooking_local.stack import UNLIMITED, Ports, outside

_OUT = Console(width=160)
_AT_ONCE = 16
_TRIES = 3  # a busy machine may keep a play from its point; a change of the service does so each time


def once_each() -> list[Cell]:
    """One cell for all the faults of a point: how it is reached, none of them changes."""
    return [cell for cell in cells() if cell.action is Action.LOSE]


async def main() -> int:
    chosen = once_each()
    random.shuffle(chosen)
    places = asyncio.Semaphore(_AT_ONCE)
    async with outside(Ports(0, 0, 0, 0), LOG_LEVEL="CRITICAL", **UNLIMITED) as stack, theatre(stack) as house:

        async def is_reached(cell: Cell) -> bool:
            for _ in range(_TRIES):
                async with places:
                    if await reaches(house, cell, Terms()):
                        return True
            return False

        reached = await asyncio.gather(*(is_reached(cell) for cell in chosen))
    lost = [cell for cell, is_ in zip(chosen, reached, strict=True) if not is_]
    for cell in lost:
        _OUT.print(
            f"✗ {cell.point} while {cell.story.name}, {cell.when}: never reached", style="bold red", markup=False
        )
    _OUT.print(f"{len(chosen) - len(lost)} of {len(chosen)} points are reached, counted by story and time.")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
