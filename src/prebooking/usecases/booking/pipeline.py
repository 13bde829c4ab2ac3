"""One execution of a prebooking: claim → admit → settle → prepare → hold → begin → gate → resolve → record.

A step returns the decision to stop with, or None to go on; resolve always decides. Between the opening and the write
there is no database call, signature check, DNS look-up, TLS handshake or refresh.
"""

import asyncio
from uuid import UUID, uuid4

import structlog

from prebooking.concurrency.fair_semaphore import FairSemaphore, NoPermitError
from prebooking.concurrency.shutdown import Shutdown, ShutdownError
from prebooking.domain.booking_limits import BookingLimits
from prebooking.domain.budget import Budget
from prebooking.domain.claims import Claim
from prebooking.domain.class_match import wanted_by
from prebooking.domain.opening_clock import OpeningClock
from prebooking.domain.outcome import Outcome
from prebooking.domain.ports import Clock, Store
from prebooking.domain.prebooking import Box
from prebooking.domain.target import Target
from prebooking.usecases.booking.admission import MIN_TO_START_S, admitted, overloaded
from prebooking.usecases.booking.begin import begin
from prebooking.usecases.booking.begin_stagger import BeginStagger
from prebooking.usecases.booking.claiming import ClaimLostError, Claims
from prebooking.usecases.booking.class_search import ClassSearch
from prebooking.usecases.booking.context import Decision, ExecutionContext, Interrupted, NotOurs, Shared, timings_of
from prebooking.usecases.booking.crowds import Pace
from prebooking.usecases.booking.day_listings import DayListings
from prebooking.usecases.booking.gate import Gate
from prebooking.usecases.booking.hold import hold
from prebooking.usecases.booking.prepare import prepare
from prebooking.usecases.booking.reconnects import Reconnects
from prebooking.usecases.booking.record import RETRY_LATER, DeliveryResult, ResultRecorder
from prebooking.usecases.booking.resolve import resolve
from prebooking.usecases.booking.settle import settle_earlier
from prebooking.usecases.guarded_gyms import GuardedGyms
from prebooking.usecases.sessions.revive import Revival, SessionReviver

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
        reviver: SessionReviver,
        pace: Pace,
        *,
        max_attempts: int,
        limits: BookingLimits,
        legacy_box: Box | None,
    ) -> None:
        self._gyms = gyms
        self._recorder = recorder
        self._pace = pace
        self._legacy_box = legacy_box
        self._claiming = asyncio.Semaphore(_CLAIMS_AT_ONCE)
        self._shared = Shared(
            store=store,
            gate=gate,
            clock=opening_clock,
            claims=Claims(store, gate, clock),
            permits=FairSemaphore(_PREPARED_AT_ONCE),
            listings=DayListings(gate, opening_clock),
            reconnects=Reconnects(),
            begin_stagger=BeginStagger(),
            reviver=reviver,
            limits=limits,
            max_attempts=max_attempts,
        )
        self.shutdown = Shutdown()

    async def execute(
        self, prebooking_id: UUID, version: int | None, budget: Budget, *, settles: bool
    ) -> DeliveryResult:
        """See Executor.execute. Raises StoreUnavailableError, StoreRefusedError."""
        token = uuid4()
        claim = await self._claim(prebooking_id, token, version, budget, settles=settles)
        if isinstance(claim, DeliveryResult):
            return claim
        row, timings = claim.prebooking, timings_of(claim, budget, self._shared.clock)
        if version is not None:
            self._recorder.observe_lag(claim, timings.delivered_at)
        request, box = row.request(), row.box(self._legacy_box, claim.session)
        structlog.contextvars.bind_contextvars(attempt=row.attempts, box=row.box_subdomain or (box and box.subdomain))
        if request is None or box is None or claim.session is None:
            if request is None:
                reason = Outcome.UNUSABLE
            else:
                reason = Outcome.BOX_UNKNOWN if box is None else Outcome.SESSION_EXPIRED
            return await self._recorder.reject_incomplete(claim, token, timings, budget, reason)
        wanted = wanted_by(row, claim.starts_at, claim.time_zone, claim.begun_as)
        async with self._gyms.visit(box, claim.session) as gym:
            opening = timings.available_at
            unguarded = gym.bypassing_breakers()
            context = ExecutionContext(
                shared=self._shared,
                claim=claim,
                token=token,
                request=request,
                target=Target(wanted=wanted, class_id=wanted.id),
                box=box,
                gym=unguarded,
                settling=gym,
                revival=Revival(
                    self._shared.reviver,
                    unguarded,
                    row.user_email,
                    claim.session,
                    budget,
                    lambda: self._shared.clock.now() - opening,
                ),
                budget=budget,
                timings=timings,
                opening=opening,
                attempts=row.attempts,
            )
            try:
                return await self._recorder.record(context, await self._decide(context))
            finally:
                await context.revival.aclose()

    async def _decide(self, context: ExecutionContext) -> Decision:
        search = ClassSearch(context)
        try:
            return await self._until_begun(context, search) or await search.pass_gate() or await resolve(context)
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
                    self._shared.claims.renewed(context.claim, context.token),
                    admitted(context),
                ):
                    return (
                        await settle_earlier(context)
                        or await prepare(context, search)
                        or await hold(context)
                        or await begin(context)
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
                await self._claiming.acquire()  # first come, first served: the user is known only after the claim
        except TimeoutError:
            return RETRY_LATER
        try:
            await (self._shared.gate.calm() if settles else self._shared.gate.quiet())
            if self.shutdown.in_progress:
                return RETRY_LATER
            claim = await self._shared.claims.claim(
                prebooking_id, token, version, budget, max_attempts=self._shared.max_attempts, spare_s=MIN_TO_START_S
            )
        finally:
            self._claiming.release()
        clock = self._shared.clock
        if not isinstance(claim, Claim):
            return self._recorder.refused(claim)
        if clock.update(claim.now, claim.sent_at, clock.monotonic()):
            _log.warning("host_clock_overruled", offset_ms=round(clock.offset_s * 1000, 1))
        return claim
