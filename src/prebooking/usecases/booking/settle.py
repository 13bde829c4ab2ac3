"""Settles a begun request: decides by the gym's listing what became of it."""

import asyncio
import random

from prebooking.domain.classes import Listing
from prebooking.domain.errors import BoxNotHereError, BoxSilentError
from prebooking.domain.outcome import Ending, Outcome, Reply, ReplyKind
from prebooking.domain.standing import NotFound, standing_in
from prebooking.usecases.booking.context import Again, Decision, ExecutionContext, Park, Release

_PAUSES_S = (0.3, 3.0)  # the first and the longest, each twice as long as the last
_MAX_QUESTIONS = 2  # requests by one claim of a parked row: later claims ask again


async def settle_earlier(context: ExecutionContext) -> Decision | None:
    """Settles the begin of an earlier claim, which may have booked. Nothing is sent before that is known."""
    claim = context.claim
    if not claim.begun:
        return None
    found = await settle(context)
    if isinstance(found, Ending):
        return found
    if found in (NotFound.UNKNOWN, NotFound.NOT_HERE):
        return Park(claim.last_reason(otherwise=Outcome.OUTCOME_UNKNOWN))
    context.settled = True
    if claim.settle_only:
        return claim.last_reason(
            otherwise=Outcome.EXPIRED if claim.now >= claim.give_up_at else Outcome.ATTEMPTS_EXHAUSTED
        )
    return None


async def by_listing(context: ExecutionContext, reply: Reply) -> Decision | Again:
    """Decides about a request whose answer leaves it open whether it has booked."""
    found = await settle(context)
    if isinstance(found, Ending):
        return found
    if reply.kind is ReplyKind.REFUSED:  # the listing may be older than an earlier request that got no clear answer
        return Park(reply.ending(reply.outcome or Outcome.REFUSED))
    if reply.kind is ReplyKind.SAME_HOUR:
        clash = reply.ending(Outcome.TIME_CLASH)
        # A listing without any booking of that hour may lag: the user may have booked this class by hand. A later claim
        # asks again; if there is still none, the box meant another booking.
        another = found is NotFound.ELSEWHERE or (found is NotFound.ABSENT and context.claim.begun)
        return clash if another and not context.unsure else Park(clash)
    if reply.kind is ReplyKind.NOT_HERE and found is NotFound.NOT_HERE:
        # No listing means no booking. The failure may be temporary, so it is tried again.
        unknown = Ending(Outcome.BOX_UNKNOWN, f"{context.box.subdomain}: {reply.detail}")
        return Park(unknown) if context.unsure else Release(unknown)
    context.unsure = True
    reason = reply.ending(Outcome.GYM_UNREACHABLE)
    complete = reply.kind in (ReplyKind.NOTHING_SAID, ReplyKind.NOT_HERE)
    not_booked = found in (NotFound.ABSENT, NotFound.ELSEWHERE)
    return Again(reason) if complete and not_booked else Park(reason)


async def booked_or_waiting(context: ExecutionContext, reply: Reply) -> Decision:
    """Finds out whether bookState 0 is a place in the class or on its waiting list, by the listing."""
    pause_s = _PAUSES_S[0]
    context.target.answered_for(context.request.class_id)
    while context.budget.for_answers > 0:
        try:
            async with asyncio.timeout(context.budget.for_answers):
                listing = await context.gym.listing(context.request.day, context.request.family_id)
        except (BoxSilentError, TimeoutError):
            listing = Listing()
        listed = listing.get(context.request.class_id or "")
        ending = listed and listed.ending()
        if ending:
            return Ending(ending.outcome, reply.detail, reply.booking_id, ending.book_state)
        await context.clock.sleep(min(pause_s, max(0.0, context.budget.for_answers)))
        pause_s = min(2 * pause_s, _PAUSES_S[1])
    return Park(reply.ending(Outcome.WAITING_LIST))


async def settle(context: ExecutionContext) -> Ending | NotFound:
    """Returns how it ended, or what the listing shows instead: UNKNOWN also if the budget ends first."""
    try:
        async with asyncio.timeout(context.budget.for_answers):
            return await _settle(context)
    except TimeoutError:
        return NotFound.UNKNOWN


async def _settle(context: ExecutionContext) -> Ending | NotFound:
    """Requests the listing until it answers, at growing intervals.

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
            if not isinstance(standing, NotFound):
                ending = listing[standing].ending()
                if ending is not None:
                    target.class_id, target.found = standing, listing[standing]
                return ending or NotFound.UNKNOWN
            if standing is NotFound.UNKNOWN or await gym.whoami():
                return standing
            if not await context.revival.revive():
                return NotFound.UNKNOWN
        except BoxSilentError:
            if not context.begun and (gym.would_reject or asked >= _MAX_QUESTIONS):
                return NotFound.UNKNOWN
            await context.clock.sleep(pause_s * random.uniform(0.75, 1.25))  # noqa: S311  # spreads load, guards nothing
            pause_s = min(2 * pause_s, _PAUSES_S[1])
