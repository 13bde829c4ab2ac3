"""Records that the booking request may be sent. Nothing is sent unless the database confirms it."""

from prebooking.domain.budget import BEGIN_GRACE_S, Lease
from prebooking.domain.errors import StoreUnavailableError
from prebooking.domain.outcome import Ending, Outcome
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.domain.transitions import Transition
from prebooking.usecases.booking.context import Decision, ExecutionContext, NotOurs, Release

_TRY_AGAIN_S = 0.2


async def begin(context: ExecutionContext) -> Decision | None:
    """Waits until shortly before the opening, and sets `context.begun`. Raises StoreUnavailableError."""
    shared = context.shared
    with shared.begin_stagger.take(context.opening) as ahead_s:
        await context.clock.sleep_until(context.opening - ahead_s)
    await shared.gate.quiet()
    if not context.budget.may_send():  # the process may have been suspended
        return Release(context.claim.last_reason())
    answer = await _recorded(context)
    if answer.outcome == StoreOutcome.BEGUN and answer.prebooking:
        context.begun, context.attempts = True, answer.prebooking.attempts
        return None if context.budget.may_send() else Release(context.claim.last_reason())
    if answer.outcome == StoreOutcome.EXPIRED:
        return Ending(Outcome.EXPIRED, sentence=shared.limits.too_close if answer.starts_at else None)
    return context.claim.last_reason() if answer.outcome == StoreOutcome.ATTEMPTS_EXHAUSTED else NotOurs(answer)


async def _recorded(context: ExecutionContext) -> Transition:
    """Returns the database's answer, and sets `context.lease`.

    The call is repeated with the same token while the request could still be sent. However often it is repeated, and
    however late it arrives, the lease in the database lasts at least as long.
    """
    lease = context.lease = Lease.until(context.budget.clock, context.budget.answer_by + BEGIN_GRACE_S)
    while True:
        try:
            return await context.shared.store.begin(
                context.prebooking.id,
                context.token,
                lease_s=lease.left,
                max_attempts=context.shared.max_attempts,
                settled=context.settled,
                starts_at=context.starts_at,
                book_until_minutes=context.shared.limits.book_until_minutes,
                learnt=context.target.learnt(),
                absent=context.absent,
            )
        except StoreUnavailableError:
            if not context.budget.may_send():
                raise
            await context.clock.sleep(_TRY_AGAIN_S)
