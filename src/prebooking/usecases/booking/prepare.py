"""Finds out before the opening whether the session is alive, the class is listed, and the user is in it already.

What isn't known in time is skipped, not failed: the box decides. A session that is alive is left alone, however old:
the checks before the opening had the time to refresh it (sessions/watch.py), and a refresh that fails would end it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from prebooking.domain.class_start import start_of
from prebooking.domain.classes import Listing
from prebooking.domain.errors import BoxSilentError
from prebooking.domain.outcome import Ending, Outcome
from prebooking.usecases.booking.context import ExecutionContext
from prebooking.usecases.booking.settle import present
from prebooking.usecases.sessions.refresh import PATIENCE_S

_T = TypeVar("_T")
_log = structlog.get_logger()

_STOP_BEFORE_OPENING_S = 0.5
_SIGN_IN_UNTIL_S = 0.3  # before the opening
_AT_LEAST_S = 1.0
_TO_USE_IT_S = 0.2  # a session refreshed elsewhere must be read this long before the request is built


async def prepare(context: ExecutionContext) -> Ending | None:
    """Returns an ending where there is nothing to send. The connection to the box is open afterwards."""
    now = context.now
    until = max(context.opening - _STOP_BEFORE_OPENING_S, now() + _AT_LEAST_S)
    async with asyncio.TaskGroup() as asking:  # when one breaks the other is ended, before its connections are
        whoami = asking.create_task(_known(context.gym.whoami(), until - now()))
        listed = asking.create_task(
            _known(context.gym.listing(context.request.day, context.request.family_id), until - now())
        )
    alive, listing = whoami.result(), listed.result()
    if alive is False:
        # The request can wait longer for a sign-in: without it, it would only be refused.
        by = max(until, context.opening - _SIGN_IN_UNTIL_S) if context.session.remembered else until
        left = by - now()
        revived = await _known(context.restore_session(min(PATIENCE_S, left - _TO_USE_IT_S)), left)
        if revived is False:
            return context.session_ended(Ending(Outcome.SESSION_EXPIRED))
        if revived is None:
            _log.warning("session_not_refreshed", prebooking_id=str(context.prebooking.id))
        else:
            listing = await _known(context.gym.listing(context.request.day, context.request.family_id), until - now())
    context.timings.ready_at = now()
    if listing is None:
        return None
    context.day_is_empty = not listing
    return _ending(listing, context) if listing else None  # a day without any class says nothing


def _ending(listing: Listing, context: ExecutionContext) -> Ending | None:
    listed = listing.get(context.request.class_id)
    if listed is not None:
        context.starts_at = start_of(context.request.day, listed.hour, context.claim.time_zone)
        context.minutes = listed.minutes
    if listed is None and not listing.complete:
        return None
    if listed is None or listed.cancelled:
        return Ending(Outcome.CLASS_NOT_FOUND)
    # With a settled begin behind it the booking is our own doing, else the user's by hand.
    return present(listed, Outcome.BOOKED if context.claim.begun else Outcome.ALREADY_BOOKED)


async def _known(question: Coroutine[Any, Any, _T], within_s: float) -> _T | None:
    try:
        async with asyncio.timeout(within_s):
            return await question
    except (BoxSilentError, TimeoutError):
        return None
