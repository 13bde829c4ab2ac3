"""Finds out before the opening whether the session is alive, the class is listed, and the user is in it already.

Checks that do not end in time are skipped: the box decides. A session that is alive is left alone, however old:
the checks before the opening had the time to refresh it (sessions/watch.py), and a refresh that fails would end it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from prebooking.domain.classes import Listing
from prebooking.domain.errors import BoxSilentError
from prebooking.domain.outcome import Ending, Outcome
from prebooking.domain.standing import standing_in
from prebooking.usecases.booking.class_search import ClassSearch, never_listed
from prebooking.usecases.booking.context import ExecutionContext
from prebooking.usecases.sessions.refresh import WEB_APP_S

_T = TypeVar("_T")
_log = structlog.get_logger()

_STOP_BEFORE_OPENING_S = 0.5
_SIGN_IN_UNTIL_S = 0.3  # before the opening
_AT_LEAST_S = 1.0
_TO_USE_IT_S = 0.2  # a session refreshed elsewhere must be read this long before the request is built


async def prepare(context: ExecutionContext, search: ClassSearch) -> Ending | None:
    """Returns an ending if there is nothing to send; else the class is searched for if it was not listed."""
    await context.shared.gate.quiet()
    ending = await _asked(context)
    if ending is None:
        search.start()
    return ending


async def _asked(context: ExecutionContext) -> Ending | None:
    now = context.clock.now
    until = max(context.opening - _STOP_BEFORE_OPENING_S, now() + _AT_LEAST_S)
    async with asyncio.TaskGroup() as asking:  # if one fails the other is cancelled before its connections are closed
        whoami = asking.create_task(_or_none(context.gym.whoami(), until - now()))
        listed = asking.create_task(
            _or_none(context.gym.listing(context.request.day, context.request.family_id), until - now())
        )
    alive, listing = whoami.result(), listed.result()
    if alive is False:
        # The request can wait longer for a sign-in: without it, it would only be refused.
        by = max(until, context.opening - _SIGN_IN_UNTIL_S) if context.session.remembered else until
        left = by - now()
        revived = await _or_none(context.revival.revive(min(WEB_APP_S, left - _TO_USE_IT_S)), left)
        if revived is False:
            return context.revival.ended(Ending(Outcome.SESSION_EXPIRED))
        if revived is None:
            _log.warning("session_not_refreshed", prebooking_id=str(context.prebooking.id))
        else:
            listing = await _or_none(context.gym.listing(context.request.day, context.request.family_id), until - now())
    context.timings.ready_at = now()
    if listing is None:
        return None
    context.target.look(listing)
    ending = _ending(listing, context)
    found = context.target.found
    context.absent = bool(alive and ending is None and found and found.standing_known)
    return ending


def _ending(listing: Listing, context: ExecutionContext) -> Ending | None:
    target = context.target
    wished = listing.get(target.wanted.id or "")
    if wished is not None and wished.cancelled and target.found is None:
        return Ending(Outcome.CLASS_NOT_FOUND)
    # Of several that fit, none was found; the user may be in one of them.
    mine = target.class_id if target.found else standing_in(listing, target.wanted, target.class_id, certain=False)
    if isinstance(mine, str):
        target.class_id = mine
        # After a settled begin the booking is our own; otherwise the user has made it by hand.
        return listing[mine].ending(Outcome.BOOKED if context.claim.begun else Outcome.ALREADY_BOOKED)
    return never_listed(context)


async def _or_none(question: Coroutine[Any, Any, _T], within_s: float) -> _T | None:
    try:
        async with asyncio.timeout(within_s):
            return await question
    except (BoxSilentError, TimeoutError):
        return None
