"""Holds the booking request on an open connection until the opening, and for each later request anew."""

import asyncio
import random
from dataclasses import replace
from functools import partial

from prebooking.domain.budget import LAST_SHOT_S
from prebooking.domain.delays import pause_before_late_opening
from prebooking.domain.errors import BoxSilentError
from prebooking.domain.outcome import Ending, Outcome
from prebooking.domain.ports import HeldRequest
from prebooking.usecases.booking.context import ExecutionContext, Release
from prebooking.usecases.booking.renewed_request import RenewedRequest

_PAUSE_S = (0.1, 0.3)  # between requests, but for the second, which is sent at once
_PART = 0.1  # of the time since the first request, if that is longer: a long budget does not cause more requests
_JUST_OPENED_S = 1.0  # from then on the gym opens late, rather than its clock being slow


async def hold(context: ExecutionContext) -> Release | None:
    """Sets `context.held`, unless the budget ends first. Releases the permit: from then on the execution only waits."""
    quiet, reconnects = context.shared.gate.quiet, context.shared.reconnects
    await quiet()
    permit, reason = context.permit, None
    while context.budget.may_send():
        if permit and context.gym.is_silent:
            permit.release_without_feedback()
        try:
            held = await _ready(context)
        except BoxSilentError:
            reason = Ending(Outcome.GYM_UNREACHABLE)
            if permit:
                permit.release_without_feedback()
            await reconnects.pause(context.box.host)
            await quiet()
            continue
        reconnects.connected(context.box.host)
        context.held = RenewedRequest(
            held,
            partial(_ready, context),
            opening=context.opening,
            clock=context.clock,
            quiet=quiet,
            may_send=context.may_send,
        )
        if permit:
            permit.release()
        return None
    return Release(reason or context.claim.last_reason())


async def send_again(context: ExecutionContext, reason: Ending, began: float, *, at_once: bool) -> HeldRequest | None:
    """Returns the request that was sent again, or None if there was no time for it.

    `began`: about when the first was sent, on the monotonic clock. `at_once`: without a pause, as the second request.
    """
    while context.budget.may_send():
        pause_s = _pause(context, reason, began, at_once=at_once)
        if pause_s >= context.budget.left - LAST_SHOT_S:
            return None  # a later claim can wait for it as well
        if pause_s:
            await context.clock.sleep(pause_s)
        try:
            held = await _ready(context)
        except BoxSilentError:
            at_once = False
            continue
        if context.may_send():
            held.fire()
            context.sent_to_empty_day = context.target.day_is_empty
            return held
        await held.aclose()
    return None


def aim(context: ExecutionContext, held: HeldRequest) -> None:
    """Gives the held request the class that was found since."""
    class_id = context.target.class_id
    if class_id is not None:
        context.request = replace(context.request, class_id=class_id)
        held.aim(class_id)


async def _ready(context: ExecutionContext) -> HeldRequest:
    """Returns the booking request on an open connection. Raises BoxSilentError."""
    class_id = context.target.class_id
    context.request = replace(context.request, class_id=class_id)
    held = context.gym.hold(context.request)
    try:
        async with asyncio.timeout(context.budget.for_answers):
            await held.ready()
    except BaseException as exc:
        await held.aclose()
        if isinstance(exc, TimeoutError):
            raise BoxSilentError("no connection in time") from exc
        raise
    if context.target.class_id != class_id:  # the class was found while it was connecting
        aim(context, held)
    return held


def _pause(context: ExecutionContext, reason: Ending, began: float, *, at_once: bool) -> float:
    if reason.outcome is Outcome.TOO_EARLY:
        since_s = context.since_opening_s
        return 0.0 if at_once and since_s < _JUST_OPENED_S else pause_before_late_opening(since_s)
    if at_once:
        return 0.0
    shortest = random.uniform(*_PAUSE_S)  # noqa: S311  # spreads load, guards nothing
    return max(shortest, _PART * (context.clock.monotonic() - began))
