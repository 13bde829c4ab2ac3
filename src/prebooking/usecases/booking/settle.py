"""Settles a begun request: finds out its result from the listing, for its family member."""

import asyncio
import random

from prebooking.domain.classes import ListedClass
from prebooking.domain.errors import BoxNotHereError, BoxSilentError
from prebooking.domain.outcome import Ending, Outcome
from prebooking.domain.standing import NotFound, standing_in
from prebooking.usecases.booking.context import ExecutionContext

_PAUSES_S = (0.3, 3.0)  # the first and the longest, each twice as long as the last
_MAX_QUESTIONS = 2  # requests by one claim of a parked row: later claims ask again


def present(listed: ListedClass | None, booked: Outcome = Outcome.BOOKED) -> Ending | None:
    """Returns the ending if the user is in the class or on its waiting list. `booked`: the outcome of a place."""
    if listed is None or listed.book_state not in (0, 1):
        return None
    outcome = booked if listed.book_state == 1 else Outcome.WAITING_LIST
    return Ending(outcome, booking_id=listed.reservation_id, book_state=listed.book_state)


async def settle(context: ExecutionContext) -> Ending | NotFound:
    """Returns how it ended, or why that is unknown: UNKNOWN also if the budget ends first."""
    try:
        async with asyncio.timeout(context.budget.for_answers):
            return await _settle(context)
    except TimeoutError:
        return NotFound.UNKNOWN


async def _settle(context: ExecutionContext) -> Ending | NotFound:
    """Requests the listing until it shows the result, at growing intervals.

    Before this claim has begun it gives up after the second request, or if a host has not responded recently: a parked
    row can wait. Absent counts only if the session is alive after the listing was requested: a dead one shows no
    bookings.
    """
    gym, request, target = context.settling, context.request, context.target
    pause_s = _PAUSES_S[0]
    asked = 0
    while True:
        asked += 1
        try:
            try:
                listing = await gym.listing(request.day, request.family_id)
            except BoxNotHereError:
                return NotFound.NOT_HERE
            sent, certain = context.sent
            standing = standing_in(listing, target.wanted, sent, certain=certain)
            if not isinstance(standing, NotFound) and (ending := present(listing[standing])):
                target.class_id, target.found = standing, listing[standing]
                return ending
            if not isinstance(standing, NotFound) or standing is NotFound.UNKNOWN:
                return NotFound.UNKNOWN
            if await gym.whoami():
                return standing
            if not await context.restore_session():
                return NotFound.UNKNOWN
        except BoxSilentError:
            if not context.begun and (gym.would_reject or asked >= _MAX_QUESTIONS):
                return NotFound.UNKNOWN
            await context.clock.sleep(pause_s * random.uniform(0.75, 1.25))  # noqa: S311  # spreads load, guards nothing
            pause_s = min(2 * pause_s, _PAUSES_S[1])
