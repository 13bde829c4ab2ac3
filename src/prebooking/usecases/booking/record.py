"""Records how an execution ended: finished, released or parked; and returns the result of its delivery."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from uuid import UUID

from prebooking.domain.booking_limits import BookingLimits
from prebooking.domain.budget import Budget
from prebooking.domain.claims import Claim
from prebooking.domain.delays import not_before, park_delay, pause_before_late_opening, release_delay
from prebooking.domain.errors import StoreUnavailableError
from prebooking.domain.outcome import Ending, Outcome
from prebooking.domain.ports import Clock, Metrics, Store
from prebooking.domain.prebooking import Status
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.domain.target import Target
from prebooking.domain.timings import Timings
from prebooking.domain.transitions import Transition
from prebooking.usecases.booking.context import Decision, ExecutionContext, Interrupted, NotOurs, Park, Release

_LEAST_RETRY_AFTER_S = 1.0
_TRY_AGAIN_S = 0.2
# For causes that pass within a minute: a gym that is down, and a session that another replica may be signing in
# again. Each delay is then at least this part of the longest one, so that all attempts together take that long.
_TRANSIENT_LEAST_DELAY = 0.8
_TRANSIENT_OUTCOMES = (Outcome.BOX_UNKNOWN, Outcome.SESSION_EXPIRED)


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The response to a delivery. `retry_after` (seconds) asks for another delivery; None: none is needed."""

    outcome: str
    retry_after: float | None = None


RETRY_LATER = DeliveryResult("retry-later", 1.0)  #: by another replica, or by this one once fewer deliveries wait


class ResultRecorder:
    """Writes results to the store, fenced by the claim's token."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        *,
        lead_s: float,
        max_attempts: int,
        limits: BookingLimits,
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._lead_s = lead_s
        self._max_attempts = max_attempts
        self._limits = limits

    def observe_lag(self, claim: Claim, delivered_at: float) -> None:
        """Measures how late QStash delivered a first message: after its instant, or its publishing if later."""
        row = claim.prebooking
        if row.attempts == 1 and claim.last_outcome is None:
            due_at = max(not_before(row.available_at, self._lead_s), row.created_at.timestamp())
            self._metrics.observe_lag(max(0.0, delivered_at - due_at))

    async def record(self, context: ExecutionContext, decision: Decision) -> DeliveryResult:
        """Records the decision. Raises StoreUnavailableError once the budget is used up."""
        if context.timings.shots and not context.timings.earlier_shots:
            self._metrics.observe_lateness(max(0.0, context.timings.shots[0].fired_at - context.opening))
        return await self._until_written(context.budget, lambda: self._write(context, decision))

    async def reject_incomplete(
        self, claim: Claim, token: UUID, timings: Timings, budget: Budget, reason: Outcome
    ) -> DeliveryResult:
        """Records that the row has no session, class or box, so that nothing can be sent or settled."""

        async def write() -> DeliveryResult:
            if claim.begun:
                return await self._park(claim, token, timings, Ending(reason), park_delay(claim.parks))
            return await self._finish(claim, token, timings, Ending(reason))

        return await self._until_written(budget, write)

    async def _until_written(self, budget: Budget, write: Callable[[], Awaitable[DeliveryResult]]) -> DeliveryResult:
        """Repeats the write while the budget lasts: otherwise a later claim would have to repeat the execution."""
        while True:
            try:
                return await write()
            except StoreUnavailableError:
                if budget.left <= _TRY_AGAIN_S:
                    raise
                await self._clock.sleep(_TRY_AGAIN_S)

    async def _write(self, context: ExecutionContext, decision: Decision) -> DeliveryResult:
        match decision:
            case Ending():
                return await self._finish(
                    context.claim, context.token, context.timings, decision, target=context.target
                )
            case Release(reason):
                return await self._not_booked(context, reason)
            case Interrupted(again_s) if context.claim.begun and not context.settled:
                return await self._park(context.claim, context.token, context.timings, None, again_s)
            case Interrupted(again_s):
                return await self._release(context, None, again_s, counted=False)
            case Park(reason):
                # The lease of its own begin must end first: until then its request may still arrive.
                retry_s = None if context.begun else park_delay(context.claim.parks)
                return await self._park(context.claim, context.token, context.timings, reason, retry_s)
            case NotOurs(answer):
                return self.refused(answer)

    async def _not_booked(self, context: ExecutionContext, reason: Ending) -> DeliveryResult:
        """Releases it for another attempt. Attempts at a gym that opens or lists the class late are not counted."""
        if reason.outcome is Outcome.TOO_EARLY:
            since_s = context.since_opening_s
            if self._limits.waits_for_opening(since_s):
                return await self._release(context, reason, pause_before_late_opening(since_s), counted=False)
            reason = replace(reason, sentence=self._limits.never_opened)
        elif reason.outcome is Outcome.CLASS_NOT_FOUND:
            pause_s = pause_before_late_opening(context.since_opening_s)
            return await self._release(context, reason, pause_s, counted=False)
        elif context.attempts < self._max_attempts:
            least = _TRANSIENT_LEAST_DELAY if reason.outcome in _TRANSIENT_OUTCOMES else 0.0
            return await self._release(context, reason, release_delay(context.attempts, least=least), counted=True)
        return await self._finish(context.claim, context.token, context.timings, reason)

    async def _finish(
        self, claim: Claim, token: UUID, timings: Timings, ending: Ending, *, target: Target | None = None
    ) -> DeliveryResult:
        success = ending.outcome.success
        result = {
            "success": success,
            "outcome": ending.outcome,
            "bookingId": ending.booking_id,
            "bookState": ending.book_state,
            "message": ending.message,
            "timings": timings.as_json(),
        }
        if success and target is not None:
            if target.found is not None and target.found.minutes is not None:
                result["class_minutes"] = target.found.minutes  # for the calendar
            if target.class_id != target.wanted.id:
                result["class_id"] = target.class_id  # identifies the place, also to give it back
        answer = await self._store.finish(
            claim.prebooking.id,
            token,
            success=success,
            outcome=ending.outcome,
            message=ending.message,
            result=result,
        )
        if answer.outcome != StoreOutcome.FINISHED:
            return self.refused(answer)
        self._metrics.count_finished(ending.outcome)
        return DeliveryResult(ending.outcome)

    async def _release(
        self, context: ExecutionContext, reason: Ending | None, retry_s: float, *, counted: bool
    ) -> DeliveryResult:
        """Releases the row. `counted`: as an attempt, unlike a shutdown, an overload, and a gym that opens late."""
        answer = await self._store.release(
            context.prebooking.id,
            context.token,
            outcome=reason.outcome if reason else None,
            message=reason.message if reason else None,
            shots=context.timings.all_shots(),
            retry_s=retry_s,
            graceful=not counted,
            settled=context.settled,
        )
        if answer.outcome != StoreOutcome.RELEASED:
            return self.refused(answer)
        return DeliveryResult("retry-later", max(_LEAST_RETRY_AFTER_S, answer.retry_after))

    async def _park(
        self, claim: Claim, token: UUID, timings: Timings, reason: Ending | None, retry_s: float | None
    ) -> DeliveryResult:
        # An unknown outcome must not replace the last known reason.
        if reason and reason.outcome in (Outcome.OUTCOME_UNKNOWN, Outcome.WAITING_LIST):
            reason = None
        answer = await self._store.park(
            claim.prebooking.id,
            token,
            outcome=reason.outcome if reason else None,
            message=reason.message if reason else None,
            shots=timings.all_shots(),
            retry_s=retry_s,
        )
        if answer.outcome != StoreOutcome.PARKED:
            return self.refused(answer)
        return DeliveryResult("retry-later", max(_LEAST_RETRY_AFTER_S, answer.retry_after))

    def refused(self, answer: Transition) -> DeliveryResult:
        """Returns the result where the database refused a transition: `answer` says why, or when to try again."""
        match answer.outcome:
            case StoreOutcome.HELD:
                return DeliveryResult("held", max(_LEAST_RETRY_AFTER_S, answer.retry_after))
            case StoreOutcome.NOT_DUE:
                return DeliveryResult("not-due", max(_LEAST_RETRY_AFTER_S, answer.retry_after - self._lead_s))
            case StoreOutcome.RETRY_LATER:
                return DeliveryResult("retry-later", max(_LEAST_RETRY_AFTER_S, answer.retry_after))
            case StoreOutcome.LOST | StoreOutcome.UNSETTLED | StoreOutcome.ALREADY_ENDED:
                return self._lost(answer)
            case outcome:
                return DeliveryResult(outcome)

    def _lost(self, answer: Transition) -> DeliveryResult:
        """Returns the result if another execution, or the old cron, has claimed or ended the row."""
        match answer.prebooking and answer.prebooking.status:
            case Status.COMPLETED | Status.FAILED:
                return DeliveryResult("already_finished")
            case Status.CANCELLED:
                return DeliveryResult("cancelled")
            case _:
                return DeliveryResult("held", _LEAST_RETRY_AFTER_S)
