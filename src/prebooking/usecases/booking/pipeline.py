"""One execution of a prebooking: claim → settle → prepare → hold → begin → gate → resolve → record.

Each step takes the execution's context, and returns the decision to stop with, or None to go on. Between the opening
and the write there is no database call, signature check, DNS look-up, TLS handshake or refresh.
"""

import asyncio
from uuid import UUID, uuid4

import structlog

from prebooking.concurrency.fair_semaphore import FairSemaphore, NoPermitError
from prebooking.concurrency.shutdown import Shutdown, ShutdownError
from prebooking.domain.budget import Budget
from prebooking.domain.claims import Claim
from prebooking.domain.class_match import wanted_by
from prebooking.domain.opening_clock import OpeningClock
from prebooking.domain.outcome import Ending, Outcome
from prebooking.domain.patience import Patience
from prebooking.domain.ports import Clock, Store
from prebooking.domain.prebooking import Box
from prebooking.domain.standing import NotFound
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.domain.target import Target
from prebooking.usecases.booking.admission import MIN_TO_START_S, admitted, overloaded
from prebooking.usecases.booking.begin_stagger import BeginStagger
from prebooking.usecases.booking.class_search import ClassSearch
from prebooking.usecases.booking.context import (
    Decision,
    ExecutionContext,
    Interrupted,
    NotOurs,
    Park,
    Release,
    timings_of,
)
from prebooking.usecases.booking.crowds import Pace
from prebooking.usecases.booking.day_listings import DayListings
from prebooking.usecases.booking.gate import Gate, sleep_until
from prebooking.usecases.booking.hold import hold
from prebooking.usecases.booking.leases import ClaimLostError, Leases
from prebooking.usecases.booking.prepare import prepare
from prebooking.usecases.booking.reconnects import Reconnects
from prebooking.usecases.booking.record import RETRY_LATER, DeliveryResult, ResultRecorder
from prebooking.usecases.booking.resolve import resolve
from prebooking.usecases.booking.settle import settle
from prebooking.usecases.guarded_gyms import GuardedGyms
from prebooking.usecases.sessions.revive import SessionReviver

_log = structlog.get_logger()

_PREPARED_AT_ONCE = 100  # which costs a core about 4 ms each
_CLAIMS_AT_ONCE = 16


class Pipeline:
    """Executes prebookings, each by one call of `execute`."""

    def __init__(
        self,
        store: Store,
        gyms: GuardedGyms,
        gate: Gate,
        clock: Clock,
        opening_clock: OpeningClock,
        recorder: ResultRecorder,
        revival: SessionReviver,
        pace: Pace,
        *,
        max_attempts: int,
        patience: Patience,
        legacy_box: Box | None,
    ) -> None:
        self._gyms = gyms
        self._gate = gate
        self._clock = clock
        self._opening_clock = opening_clock
        self._recorder = recorder
        self._revival = revival
        self._pace = pace
        self._max_attempts = max_attempts
        self._patience = patience
        self._legacy_box = legacy_box
        self._begin_stagger = BeginStagger()
        self._claims = asyncio.Semaphore(_CLAIMS_AT_ONCE)
        self._permits = FairSemaphore(_PREPARED_AT_ONCE)
        self._reconnects = Reconnects()
        self._listings = DayListings(gate, clock, opening_clock.now)
        self._leases = Leases(store, gate, clock)
        self.shutdown = Shutdown()

    async def execute(
        self, prebooking_id: UUID, version: int | None, budget: Budget, *, settles: bool
    ) -> DeliveryResult:
        """See Executor.execute. Raises StoreUnavailableError, StoreRefusedError."""
        token = uuid4()
        claim = await self._claim(prebooking_id, token, version, budget, settles=settles)
        if isinstance(claim, DeliveryResult):
            return claim
        row, timings = claim.prebooking, timings_of(claim, budget, self._opening_clock)
        if version is not None:
            self._recorder.observe_lag(claim, timings.delivered_at)
        request, box = row.request(), row.box(self._legacy_box, claim.session)
        structlog.contextvars.bind_contextvars(attempt=row.attempts, box=row.box_subdomain or (box and box.subdomain))
        if request is None or box is None or claim.session is None:
            session_or_box = Outcome.BOX_UNKNOWN if box is None else Outcome.SESSION_EXPIRED
            reason = Outcome.UNUSABLE if request is None else session_or_box
            return await self._recorder.reject_incomplete(claim, token, timings, budget, reason)
        wanted = wanted_by(row, claim.starts_at, claim.time_zone, claim.begun_as)
        async with self._gyms.visit(box, claim.session) as gym:
            context = ExecutionContext(
                claim=claim,
                prebooking=row,
                token=token,
                request=request,
                target=Target(wanted=wanted, class_id=wanted.id),
                box=box,
                gym=gym.bypassing_breakers(),
                settling=gym,
                session=claim.session,
                budget=budget,
                timings=timings,
                clock=self._clock,
                opening=timings.available_at,
                now=self._opening_clock.now,
                revival=self._revival,
                attempts=row.attempts,
            )
            try:
                return await self._recorder.record(context, await self._decide(context))
            finally:
                await context.aclose()

    async def _decide(self, context: ExecutionContext) -> Decision:
        search = ClassSearch(context, self._listings)
        try:
            return (
                await self._until_begun(context, search)
                or await self._pass_gate(context, search)
                or await resolve(context)
            )
        finally:
            search.stop()
            if context.held is not None:
                await context.held.aclose()

    async def _until_begun(self, context: ExecutionContext, search: ClassSearch) -> Decision | None:
        """The steps before the gate. They can be interrupted, since nothing has been sent yet."""
        try:
            with self._pace.preparing():
                async with (
                    self.shutdown.interruptible(),
                    self._leases.renewed(context.claim, context.token),
                    admitted(self._permits, context),
                ):
                    return (
                        await self._settle(context)
                        or await self._prepare(context, search)
                        or await hold(context, self._reconnects, self._gate.quiet)
                        or await self._begin(context)
                    )
        except ShutdownError:
            return Interrupted()
        except ClaimLostError as exc:
            return NotOurs(exc.answer)
        except NoPermitError:
            return overloaded()

    async def _claim(
        self, prebooking_id: UUID, token: UUID, version: int | None, budget: Budget, *, settles: bool
    ) -> Claim | DeliveryResult:
        """Returns a DeliveryResult if the row can't be claimed, or this process can't execute it now."""
        try:
            async with asyncio.timeout(budget.left - MIN_TO_START_S):
                await self._claims.acquire()  # first come, first served: the user is known only after the claim
        except TimeoutError:
            return RETRY_LATER
        try:
            await (self._gate.calm() if settles else self._gate.quiet())
            if self.shutdown.in_progress:
                return RETRY_LATER
            claim = await self._leases.claim(
                prebooking_id, token, version, budget, max_attempts=self._max_attempts, spare_s=MIN_TO_START_S
            )
        finally:
            self._claims.release()
        if not isinstance(claim, Claim):
            return self._recorder.not_claimed(claim)
        if self._opening_clock.update(claim.now, claim.sent_at, self._clock.monotonic()):
            _log.warning("host_clock_overruled", offset_ms=round(self._opening_clock.offset_s * 1000, 1))
        return claim

    async def _settle(self, context: ExecutionContext) -> Decision | None:
        """Settles the begin of an earlier claim, which may have booked. Nothing is sent before that is known."""
        if not context.claim.begun:
            return None
        found = await settle(context)
        if isinstance(found, Ending):
            return found
        if found in (NotFound.UNKNOWN, NotFound.NOT_HERE):
            return Park(context.last_reason(over=Outcome.OUTCOME_UNKNOWN))
        context.settled = True
        if context.claim.settle_only:
            over = context.claim.now >= context.claim.give_up_at
            return context.last_reason(over=Outcome.EXPIRED if over else Outcome.ATTEMPTS_EXHAUSTED)
        return None

    async def _prepare(self, context: ExecutionContext, search: ClassSearch) -> Decision | None:
        await self._gate.quiet()
        ending = await prepare(context)
        if ending is None:
            search.start()
        return ending

    async def _begin(self, context: ExecutionContext) -> Decision | None:
        """Records that the request may be sent. Nothing is sent unless the database confirms it."""
        with self._begin_stagger.take(context.opening) as ahead_s:
            await sleep_until(self._clock, context.now, context.opening - ahead_s)
        await self._gate.quiet()
        if not context.budget.may_send():  # the process may have been suspended
            return Release(context.last_reason(over=Outcome.ATTEMPTS_EXHAUSTED))
        until_minutes = self._patience.book_until_minutes
        answer = await self._leases.begin(context, max_attempts=self._max_attempts, book_until_minutes=until_minutes)
        if answer.outcome == StoreOutcome.BEGUN and answer.prebooking:
            context.begun, context.attempts = True, answer.prebooking.attempts
            return None if context.budget.may_send() else Release(context.last_reason(over=Outcome.ATTEMPTS_EXHAUSTED))
        if answer.outcome == StoreOutcome.EXPIRED:
            return Ending(Outcome.EXPIRED, sentence=self._patience.too_close if answer.starts_at else None)
        if answer.outcome == StoreOutcome.ATTEMPTS_EXHAUSTED:
            return context.last_reason(over=Outcome.ATTEMPTS_EXHAUSTED)
        return NotOurs(answer)

    async def _pass_gate(self, context: ExecutionContext, search: ClassSearch) -> Decision | None:
        """Waits for the opening, and for the class to be listed, and sends the request. After the end of the lease,
        such as after a suspend, nothing is sent.
        """
        await self._gate.pass_through(context.opening, context.rank, search.send, search.warm)
        return await search.sent()
