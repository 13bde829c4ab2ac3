"""Resolves the gym's replies into a decision: end, send again, release, or park."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass

from prebooking.domain.budget import LAST_SHOT_S
from prebooking.domain.classes import Listing
from prebooking.domain.errors import BoxSilentError
from prebooking.domain.outcome import Ending, Outcome, Reply, ReplyKind
from prebooking.domain.patience import pause_before_late_opening
from prebooking.domain.ports import HeldRequest
from prebooking.domain.standing import NotFound
from prebooking.domain.timings import Shot
from prebooking.usecases.booking.context import Decision, ExecutionContext, Park, Release
from prebooking.usecases.booking.settle import present, settle

_PAUSE_S = (0.1, 0.3)  # between requests, but for the second, which is sent at once
_LONGEST_PAUSE_S = 3.0  # between requests for the listing
_PART = 0.1  # of the time since the first request, if that is longer: a long budget does not cause more requests
_ENTRANCE_S = 2.0
_JUST_OPENED_S = 1.0  # from then on the gym opens late, rather than its clock being slow


@dataclass(frozen=True, slots=True)
class _Again:
    reason: Ending


async def resolve(context: ExecutionContext) -> Decision:
    """Returns a decision about the request that was sent, at the latest when the budget is used up."""
    assert context.held is not None
    held: HeldRequest = context.held
    sent, began = 1, context.clock.monotonic()
    while True:
        try:
            reply = await held.reply(within_s=max(0.0, context.budget.for_answers))
        finally:
            await held.aclose()
        if held.fired_at is not None:
            context.timings.shots.append(Shot(held.fired_at, context.now(), reply.label))
        decision = await _decide(context, reply)
        if not isinstance(decision, _Again):
            return decision
        again = await _send_again(context, decision.reason, began, first=sent == 1)
        if again is None:
            return Park(decision.reason) if context.unsure else Release(decision.reason)
        held, sent = again, sent + 1


async def _send_again(context: ExecutionContext, reason: Ending, began: float, *, first: bool) -> HeldRequest | None:
    while context.budget.may_send():
        pause_s = _pause(context, reason, began, first=first)
        if pause_s >= context.budget.left - LAST_SHOT_S:
            return None  # a later claim can wait for it as well
        if pause_s:
            await context.clock.sleep(pause_s)
        try:
            held = await context.hold()
        except BoxSilentError:
            first = False
            continue
        if context.may_send():
            held.fire()
            return held
        await held.aclose()
    return None


def _pause(context: ExecutionContext, reason: Ending, began: float, *, first: bool) -> float:
    if reason.outcome is Outcome.TOO_EARLY:
        since_s = context.since_opening_s
        return 0.0 if first and since_s < _JUST_OPENED_S else pause_before_late_opening(since_s)
    if first:
        return 0.0
    shortest = random.uniform(*_PAUSE_S)  # noqa: S311  # spreads load, guards nothing
    return max(shortest, _PART * (context.clock.monotonic() - began))


async def _decide(context: ExecutionContext, reply: Reply) -> Decision | _Again:  # noqa: PLR0911  # one return a kind of answer
    match reply.kind:
        case ReplyKind.BOOKED:
            context.target.answered_for(context.request.class_id)
            return reply.ending(Outcome.BOOKED)
        case ReplyKind.ON_A_LIST:
            return await _booked_or_waiting(context, reply)
        case ReplyKind.TOO_EARLY:
            return _Again(reply.ending(Outcome.TOO_EARLY))
        case ReplyKind.NEVER_LEFT:
            return _Again(reply.ending(Outcome.GYM_UNREACHABLE))
        case ReplyKind.LOGGED_OUT:
            return await _logged_out(context, reply)
        case ReplyKind.BLOCKED:
            reason = reply.ending(Outcome.BLOCKED)
            return Park(reason) if context.unsure else Release(reason)
        case ReplyKind.REFUSED if context.target.day_is_empty and reply.outcome in (None, Outcome.REFUSED):
            return _Again(reply.ending(Outcome.TOO_EARLY))  # the class is not listed yet, so there is no other reason
        case ReplyKind.REFUSED:
            return await _refused(context, reply.ending(reply.outcome or Outcome.REFUSED))
        case ReplyKind.SAME_HOUR | ReplyKind.NOTHING_SAID | ReplyKind.NO_ANSWER | ReplyKind.NOT_HERE:
            return await _settled(context, reply)


async def _settled(context: ExecutionContext, reply: Reply) -> Decision | _Again:
    """Decides by the listing."""
    found = await settle(context)
    if isinstance(found, Ending):
        return found
    if reply.kind is ReplyKind.SAME_HOUR:
        clash = reply.ending(Outcome.TIME_CLASH)
        # A listing without any booking of that hour may lag: the user may have booked this class by hand. A later claim
        # asks again; if there is still none, the box meant another booking.
        known = found is NotFound.ELSEWHERE or (found is NotFound.ABSENT and context.claim.begun)
        return clash if known and not context.unsure else Park(clash)
    if reply.kind is ReplyKind.NOT_HERE and found is NotFound.NOT_HERE:
        # No listing means no booking. The failure may be temporary, so it is tried again.
        unknown = Ending(Outcome.BOX_UNKNOWN, f"{context.box.subdomain}: {reply.detail}")
        return Park(unknown) if context.unsure else Release(unknown)
    context.unsure = True
    reason = reply.ending(Outcome.GYM_UNREACHABLE)
    complete = reply.kind in (ReplyKind.NOTHING_SAID, ReplyKind.NOT_HERE)
    known = found in (NotFound.ABSENT, NotFound.ELSEWHERE)
    return _Again(reason) if complete and known else Park(reason)


async def _refused(context: ExecutionContext, ending: Ending) -> Decision:
    """Accepts a refusal, unless an earlier request may have booked: the listing may be older than that."""
    if not context.unsure:
        return ending
    found = await settle(context)
    return found if isinstance(found, Ending) else Park(ending)


async def _logged_out(context: ExecutionContext, reply: Reply) -> Decision | _Again:
    """Checks the session with the account host, as the box may be wrong about it."""
    ending = reply.ending(Outcome.SESSION_EXPIRED)
    try:
        async with asyncio.timeout(context.budget.for_answers):
            if await context.gym.whoami():
                await _enter(context)
                return _Again(ending)
            if await context.restore_session():
                return _Again(ending)
    except (BoxSilentError, TimeoutError):
        return _Again(ending)
    return Park(ending) if context.unsure else context.session_ended(ending)


async def _enter(context: ExecutionContext) -> None:
    """Tells the box of the session, once in an execution: some boxes don't know of it until then."""
    if context.entered:
        return
    context.entered = True
    with suppress(BoxSilentError, TimeoutError):
        async with asyncio.timeout(_ENTRANCE_S):
            await context.gym.enter(context.session.token, context.session.fingerprint, context.box)


async def _booked_or_waiting(context: ExecutionContext, reply: Reply) -> Decision:
    """Finds out whether bookState 0 is a place in the class or on its waiting list, by the listing."""
    pause_s = _PAUSE_S[1]
    context.target.answered_for(context.request.class_id)
    while context.budget.for_answers > 0:
        try:
            async with asyncio.timeout(context.budget.for_answers):
                listing = await context.gym.listing(context.request.day, context.request.family_id)
        except (BoxSilentError, TimeoutError):
            listing = Listing()
        ending = present(listing.get(context.request.class_id or ""))
        if ending is not None:
            return Ending(ending.outcome, reply.detail, reply.booking_id, ending.book_state)
        await context.clock.sleep(min(pause_s, max(0.0, context.budget.for_answers)))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    return Park(reply.ending(Outcome.WAITING_LIST))
