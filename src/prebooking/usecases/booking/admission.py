"""Lets an execution be made ready under its share of this replica, which the claim has told: its box, user, purpose."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from prebooking.concurrency.fair_semaphore import FairSemaphore, Key, NoPermitError, Part, Permit
from prebooking.usecases.booking.context import ExecutionContext, GiveBack

_T = TypeVar("_T")

WORTH_STARTING_S = 4.0  # with less of its budget left than this none is begun with
# It is claimed, so it waits no longer than this, or until so long before its opening; else it comes again later.
_WAIT_S = 3.0
_BEFORE_OPENING_S = 1.0
_CROWDED_S = (0.5, 1.5)
# Who is not ready by then waits for others, not for this machine: it goes on without its permit.
_PATIENCE_S = 1.5


async def admitted(
    shares: FairSemaphore, run: ExecutionContext, get_ready: Callable[[Permit | None], Awaitable[_T]]
) -> _T | GiveBack:
    """Returns what `get_ready` does, or GiveBack where too many want the same. The permit is back by then."""
    if run.gym.silent:  # it needs nothing of this machine but patience
        return await get_ready(None)
    row = run.prebooking
    settling = [Key(Part.SETTLING)] if run.claim.begun else []
    ahead = run.opening - run.now() - _BEFORE_OPENING_S
    try:
        permit = await shares.acquire(
            *settling,
            Key(Part.BOX, run.box),
            Key(Part.USER, row.user_email),
            within_s=min(max(_WAIT_S, ahead), run.budget.left - WORTH_STARTING_S),
            created_at=row.created_at.timestamp(),
        )
    except NoPermitError:
        return GiveBack(random.uniform(*_CROWDED_S))  # noqa: S311  # spreads load, guards nothing
    lending = asyncio.get_running_loop().call_later(_PATIENCE_S, permit.lend)
    try:
        return await get_ready(permit)
    except asyncio.CancelledError:
        permit.release(in_time=run.gym.silent)
        raise
    finally:
        lending.cancel()
        permit.release()
