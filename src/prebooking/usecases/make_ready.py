"""All that can be known before the opening: is the session alive, is the class there, is the user in it already?

What isn't known in time is skipped, not failed: the box decides.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from prebooking.domain.errors import BoxSilentError
from prebooking.domain.outcome import Ending, Outcome
from prebooking.domain.ports import Listing
from prebooking.usecases.execution import Execution
from prebooking.usecases.settle import present

_T = TypeVar("_T")
_log = structlog.get_logger()

_STOP_BEFORE_OPENING_S = 0.5
_AT_LEAST_S = 1.0


async def make_ready(run: Execution, now: Callable[[], float]) -> Ending | None:
    """An ending where there is nothing to send; the connection to the box is open afterwards."""
    left_s = max(run.opening - _STOP_BEFORE_OPENING_S - now(), _AT_LEAST_S)
    alive, listing = await asyncio.gather(
        _known(run.gym.whoami(), left_s),
        _known(run.gym.listing(run.request.day, run.request.family_id), left_s),
    )
    if alive is False:
        try:
            if not await run.revive():
                return Ending(Outcome.SESSION_EXPIRED)
            listing = await _known(run.gym.listing(run.request.day, run.request.family_id), left_s)
        except BoxSilentError as exc:
            _log.warning("session_not_refreshed", prebooking_id=str(run.prebooking.id), reason=str(exc))
    run.timings.ready_at = now()
    return _ending(listing, run) if listing else None


def _ending(listing: Listing, run: Execution) -> Ending | None:
    listed = listing.get(run.request.class_id)
    if listed is None or listed.cancelled:
        return Ending(Outcome.CLASS_NOT_FOUND)
    # With a settled begin behind it the booking is our own doing, else the user's by hand.
    return present(listed, Outcome.BOOKED if run.claim.begun else Outcome.ALREADY_BOOKED)


async def _known(question: Awaitable[_T], within_s: float) -> _T | None:
    try:
        async with asyncio.timeout(within_s):
            return await question
    except (BoxSilentError, TimeoutError):
        return None
