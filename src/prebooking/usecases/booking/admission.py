"""Admits executions to preparation, with fair shares for boxes, users, and settling."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prebooking.concurrency.fair_semaphore import Key, Weight
from prebooking.usecases.booking.context import ExecutionContext, Interrupted

MIN_TO_START_S = 4.0  # no execution is started with less of its budget left
# It is claimed, so it waits no longer than this, or until this long before its opening; then it is released.
_WAIT_S = 3.0
_BEFORE_OPENING_S = 1.0
_OVERLOADED_S = (0.5, 1.5)
# An execution that is not ready by then waits for other hosts, not for this machine: it goes on without a permit.
_READY_WITHIN_S = 1.5
_OUT_OF_TIME_S = 0.5  # of the budget: with so little left the executor cancels


@asynccontextmanager
async def admitted(context: ExecutionContext) -> AsyncIterator[None]:
    """Holds a permit as `context.permit`, unless the gym is silent. Raises NoPermitError if too many wait."""
    if context.gym.is_silent:  # it only waits, so it needs no permit
        yield
        return
    row = context.prebooking
    settling = [Key(Weight.SETTLING)] if context.claim.begun else []
    ahead = -context.since_opening_s - _BEFORE_OPENING_S
    permit = context.permit = await context.shared.permits.acquire(
        *settling,
        Key(Weight.BOX, context.box.host),
        Key(Weight.USER, row.user_email),
        within_s=min(max(_WAIT_S, ahead), context.budget.left - MIN_TO_START_S),
        created_at=row.created_at.timestamp(),
    )
    releasing = asyncio.get_running_loop().call_later(_READY_WITHIN_S, permit.release_without_feedback)
    try:
        yield
    except asyncio.CancelledError:
        if context.budget.left > _OUT_OF_TIME_S:  # the claim was lost, or the process stops
            permit.release_without_feedback()
        else:
            permit.release(in_time=context.gym.is_silent)  # a silent gym is no overload
        raise
    finally:
        releasing.cancel()
        permit.release()


def overloaded() -> Interrupted:
    """Returns the decision if no permit became free: the delivery is tried again soon."""
    return Interrupted(random.uniform(*_OVERLOADED_S))  # noqa: S311  # spreads load, guards nothing
