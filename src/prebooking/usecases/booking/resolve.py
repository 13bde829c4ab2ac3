"""Resolves the gym's replies into a decision: end, send again, release, or park."""

import asyncio
from contextlib import suppress

from prebooking.domain.errors import BoxSilentError
from prebooking.domain.outcome import Outcome, Reply, ReplyKind
from prebooking.domain.ports import HeldRequest
from prebooking.domain.timings import Shot
from prebooking.usecases.booking.context import Again, Decision, ExecutionContext, Park, Release
from prebooking.usecases.booking.hold import send_again
from prebooking.usecases.booking.settle import booked_or_waiting, by_listing

_ENTRANCE_S = 2.0


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
            context.timings.shots.append(Shot(held.fired_at, context.clock.now(), reply.label))
        decision = await _decide(context, reply)
        if not isinstance(decision, Again):
            return decision
        again = await send_again(context, decision.reason, began, at_once=sent == 1)
        if again is None:
            return Park(decision.reason) if context.unsure else Release(decision.reason)
        held, sent = again, sent + 1


async def _decide(context: ExecutionContext, reply: Reply) -> Decision | Again:  # noqa: PLR0911  # one return a kind of answer
    match reply.kind:
        case ReplyKind.BOOKED:
            context.target.answered_for(context.request.class_id)
            return reply.ending(Outcome.BOOKED)
        case ReplyKind.LOGGED_OUT:
            return await _logged_out(context, reply)
        case ReplyKind.ON_A_LIST:
            return await booked_or_waiting(context, reply)
        case ReplyKind.TOO_EARLY:
            return Again(reply.ending(Outcome.TOO_EARLY))
        case ReplyKind.NEVER_LEFT:
            return Again(reply.ending(Outcome.GYM_UNREACHABLE))
        case ReplyKind.BLOCKED:
            reason = reply.ending(Outcome.BLOCKED)
            return Park(reason) if context.unsure else Release(reason)
        case ReplyKind.REFUSED if context.sent_to_empty_day and reply.outcome is Outcome.REFUSED:
            return Again(reply.ending(Outcome.TOO_EARLY))  # the class was not listed yet: there is no other reason
        case ReplyKind.REFUSED if not context.unsure:
            return reply.ending(reply.outcome or Outcome.REFUSED)
        case (
            ReplyKind.REFUSED | ReplyKind.SAME_HOUR | ReplyKind.NOTHING_SAID | ReplyKind.NO_ANSWER | ReplyKind.NOT_HERE
        ):
            return await by_listing(context, reply)


async def _logged_out(context: ExecutionContext, reply: Reply) -> Decision | Again:
    """Checks the session with the account host, as the box may be wrong about it."""
    ending = reply.ending(Outcome.SESSION_EXPIRED)
    try:
        async with asyncio.timeout(context.budget.for_answers):
            if await context.gym.whoami():
                await _enter(context)
                return Again(ending)
            if await context.revival.revive():
                return Again(ending)
    except (BoxSilentError, TimeoutError):
        return Again(ending)
    return Park(ending) if context.unsure else context.revival.ended(ending)


async def _enter(context: ExecutionContext) -> None:
    """Tells the box of the session, once in an execution: some boxes don't know of it until then."""
    if context.entered:
        return
    context.entered = True
    with suppress(BoxSilentError, TimeoutError):
        async with asyncio.timeout(_ENTRANCE_S):
            await context.gym.enter(context.session.token, context.session.fingerprint, context.box)
