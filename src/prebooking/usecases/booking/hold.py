"""Holds the booking request on an open connection, and releases the permit: from then on it only waits."""

from collections.abc import Awaitable, Callable

from prebooking.domain.errors import BoxSilentError
from prebooking.domain.outcome import Ending, Outcome
from prebooking.usecases.booking.context import ExecutionContext, Release
from prebooking.usecases.booking.reconnects import Reconnects
from prebooking.usecases.booking.renewed_request import RenewedRequest


async def hold(
    context: ExecutionContext, reconnects: Reconnects, quiet: Callable[[], Awaitable[None]]
) -> Release | None:
    """Sets `context.held`, unless the budget ends first. `quiet`: see prebooking.usecases.booking.gate.Gate."""
    await quiet()
    permit, reason = context.permit, None
    while context.budget.may_send():
        if permit and context.gym.is_silent:
            permit.release_without_feedback()
        try:
            held = await context.hold()
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
            context.hold,
            opening=context.opening,
            clock=context.clock,
            now=context.now,
            quiet=quiet,
            may_send=context.may_send,
        )
        if permit:
            permit.release()
        return None
    return Release(reason or context.last_reason(over=Outcome.ATTEMPTS_EXHAUSTED))
