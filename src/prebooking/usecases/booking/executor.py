"""The pipeline of one execution: claim → settle → make ready → begin → gate → resolve → finish, or release, or park.

Between the opening and the write stand no database, no signature check, no DNS, no TLS, no refresh.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID, uuid4

import structlog

from prebooking.concurrency.fair_semaphore import FairSemaphore, Permit
from prebooking.concurrency.shutdown import Shutdown, ShutdownError
from prebooking.domain.errors import BoxSilentError, StoreRefusedError, StoreUnavailableError
from prebooking.domain.metrics import Metrics
from prebooking.domain.outcome import Ending, Outcome
from prebooking.domain.patience import Patience
from prebooking.domain.ports import Claim, Clock, HeldRequest, Store, Transition
from prebooking.domain.prebooking import Box
from prebooking.domain.timing import BEGIN_GRACE_S, Budget, Lease, OpeningClock, Timings, not_before
from prebooking.usecases.booking.admission import WORTH_STARTING_S, admitted
from prebooking.usecases.booking.begin_stagger import BeginStagger
from prebooking.usecases.booking.context import ExecutionContext, GiveBack, Park, Release
from prebooking.usecases.booking.gate import Gate, sleep_until
from prebooking.usecases.booking.leases import ClaimLostError, Leases
from prebooking.usecases.booking.prepare import prepare
from prebooking.usecases.booking.reconnects import Reconnects
from prebooking.usecases.booking.record import DeliveryResult, ResultRecorder
from prebooking.usecases.booking.renewed_request import RenewedRequest
from prebooking.usecases.booking.resolve import Decision, resolve
from prebooking.usecases.booking.settle import NotFound
from prebooking.usecases.guarded_gyms import GuardedGyms
from prebooking.usecases.sessions.revive import SessionReviver

_log = structlog.get_logger()

_TRY_AGAIN_S = 0.2
_TO_ANSWER_S = 0.1  # what is left of the budget for the answer itself

DATABASE_UNAVAILABLE = DeliveryResult("database-unavailable", 2.0)
STOPPING = DeliveryResult("retry-later", 1.0)  # by another replica
CROWDED = DeliveryResult("retry-later", 1.0)
_AT_ONCE = 100  # made ready, which costs a core about 10 ms each
_CLAIMS_AT_ONCE = 16


class Executor:
    """Executes one prebooking, exactly once however often it is told to. `ended` hears when one may have ended."""

    def __init__(
        self,
        store: Store,
        gyms: GuardedGyms,
        gate: Gate,
        clock: Clock,
        opening_clock: OpeningClock,
        *,
        lead_s: float,
        max_duration_s: float,
        max_attempts: int,
        patience: Patience,
        legacy_box: Box | None,
        ended: Callable[[], None],
        meter: Metrics,
        revival: SessionReviver,
    ) -> None:
        self._store = store
        self._gyms = gyms
        self._gate = gate
        self._clock = clock
        self._opening_clock = opening_clock
        self._begin_stagger = BeginStagger()
        self._stopping = Shutdown()
        self._claims = asyncio.Semaphore(_CLAIMS_AT_ONCE)
        self._places = FairSemaphore(_AT_ONCE)
        self._reconnects = Reconnects()
        self._revival = revival
        self._leases = Leases(store, gate, clock)
        self._ending = ResultRecorder(store, meter, lead_s=lead_s, max_attempts=max_attempts, patience=patience)
        self._max_duration_s = max_duration_s
        self._max_attempts = max_attempts
        self._patience = patience
        self._legacy_box = legacy_box
        self._ended = ended
        self._meter = meter
        self._lead_s = lead_s

    def stop(self) -> None:
        """The process is about to end: what has not begun is given back, what has begun is finished."""
        self._stopping.tell()

    @property
    def stopping(self) -> bool:
        return self._stopping.told

    async def execute(
        self, prebooking_id: UUID, version: int | None, arrived: float | None = None, *, settles: bool = False
    ) -> DeliveryResult:
        """`version`: the one the message was published for; None from the sweep.

        `arrived`: when the delivery arrived, on the monotonic clock; each answer is due MAX_DURATION_SECONDS − 2 s
        after it. `settles`: as far as the caller knows it is parked, and has time.
        """
        # Every line in between tells whose it is, also where a sweep has started it and no request has an id.
        with structlog.contextvars.bound_contextvars(prebooking_id=str(prebooking_id)):
            verdict = await self._in_time(prebooking_id, version, arrived, settles=settles)
            structlog.contextvars.unbind_contextvars("attempt", "box")
        return verdict

    async def _in_time(
        self, prebooking_id: UUID, version: int | None, arrived: float | None, *, settles: bool
    ) -> DeliveryResult:
        now = self._clock.monotonic()
        budget = Budget(self._clock, now if arrived is None else arrived, self._max_duration_s)
        try:
            async with asyncio.timeout(budget.left - _TO_ANSWER_S):
                verdict = await self._execute(prebooking_id, version, budget, settles=settles)
        except (StoreUnavailableError, StoreRefusedError, TimeoutError) as exc:
            _log.warning("execution_interrupted", reason=str(exc) or "out of time")
            verdict = DATABASE_UNAVAILABLE
        if verdict.retry_after is None:
            self._ended()
        self._meter.delivered(verdict.outcome, by_sweep=version is None, left_s=budget.left)
        _log.info(
            "delivery_answered" if version is not None else "sweep_executed",
            outcome=verdict.outcome,
            retry_after_s=verdict.retry_after,
            took_ms=round((self._clock.monotonic() - budget.arrived) * 1000, 1),
        )
        return verdict

    async def _execute(
        self, prebooking_id: UUID, version: int | None, budget: Budget, *, settles: bool
    ) -> DeliveryResult:
        token = uuid4()
        try:
            async with asyncio.timeout(budget.left - WORTH_STARTING_S):
                await self._claims.acquire()  # in turn: whose it is nobody knows yet
        except TimeoutError:
            return CROWDED
        try:
            await (self._gate.calm() if settles else self._gate.quiet())
            if self._stopping.told:
                return STOPPING
            claim = await self._leases.claim(
                prebooking_id, token, version, budget, max_attempts=self._max_attempts, spare_s=WORTH_STARTING_S
            )
        finally:
            self._claims.release()
        return await self._claimed(claim, token, version, budget)

    async def _claimed(
        self, claim: Claim | Transition, token: UUID, version: int | None, budget: Budget
    ) -> DeliveryResult:
        if isinstance(claim, Transition):
            return self._ending.not_claimed(claim)
        if self._opening_clock.compare(claim.now, claim.sent_at, self._clock.monotonic()):
            _log.warning("host_clock_overruled", offset_ms=round(self._opening_clock.offset_s * 1000, 1))
        timings = self._timings(claim, budget)
        if version is not None and claim.prebooking.attempts == 1 and claim.last_outcome is None:
            self._meter.lagged(max(0.0, timings.delivered_at - self._due_at(claim)))
        request, box = claim.prebooking.request(), claim.prebooking.box(self._legacy_box)
        structlog.contextvars.bind_contextvars(
            attempt=claim.prebooking.attempts, box=claim.prebooking.box_subdomain or (box.subdomain if box else None)
        )
        if request is None or box is None or claim.session is None:
            session_or_box = Outcome.BOX_UNKNOWN if box is None else Outcome.SESSION_EXPIRED
            why = Outcome.UNUSABLE if request is None else session_or_box
            return await self._written(budget, lambda: self._ending.reject_incomplete(claim, token, timings, why))
        async with self._gyms.visit(box, claim.session) as gym:
            run = ExecutionContext(
                claim=claim,
                box=box.subdomain,
                token=token,
                request=request,
                gym=gym.insisting(),
                settling=gym,
                session=claim.session,
                budget=budget,
                timings=timings,
                clock=self._clock,
                now=self._opening_clock.now,
                revival=self._revival,
                attempts=claim.prebooking.attempts,
            )
            try:
                return await self._pipeline(run)
            finally:
                await run.aclose()

    async def _pipeline(self, run: ExecutionContext) -> DeliveryResult:
        try:
            async with self._stopping.interruptible(), self._leases.renewed(run.claim, run.token):
                prepared = await admitted(self._places, run, partial(self._prepare, run))
        except ShutdownError:
            return await self._end(run, GiveBack())
        except ClaimLostError as exc:
            return self._ending.not_claimed(exc.answer)
        match prepared:
            case DeliveryResult():
                return prepared
            case Ending() | Release() | Park() | GiveBack():
                return await self._end(run, prepared)
        try:
            if await self._leave(run, prepared):
                decision = await resolve(run, prepared)
            else:
                decision = Release(run.last_reason(over=Outcome.ATTEMPTS_EXHAUSTED))
            if run.timings.shots and not run.timings.earlier_shots:
                self._meter.fired(max(0.0, run.timings.shots[0].fired_at - run.opening))
        finally:
            await prepared.aclose()
        return await self._end(run, decision)

    async def _prepare(self, run: ExecutionContext, permit: Permit | None) -> HeldRequest | Decision | DeliveryResult:
        """All before the gate: settled, made ready, held, begun. Nothing of it has left when it is interrupted."""
        ended = await self._settle_earlier(run)
        if ended is not None:
            return ended
        await self._gate.quiet()
        ended = await prepare(run, self._opening_clock.now)
        if ended is not None:
            return ended
        await self._gate.quiet()
        held = await self._hold(run, permit)
        if isinstance(held, Release):
            return held
        if permit:
            permit.release()
        try:
            refused = await self._begin(run)
        except BaseException:
            await held.aclose()
            raise
        if refused is None:
            return held
        await held.aclose()
        return refused

    async def _leave(self, run: ExecutionContext, prepared: HeldRequest) -> bool:
        """At the opening. A process that stood still may come to it after its lease has ended: then nothing leaves."""
        let_go = False

        def fire() -> None:
            nonlocal let_go
            if run.may_send():
                let_go = True
                prepared.fire()

        await self._gate.pass_through(run.opening, (run.prebooking.created_at, run.prebooking.id), fire)
        return let_go

    async def _end(self, run: ExecutionContext, decision: Decision) -> DeliveryResult:
        return await self._written(run.budget, lambda: self._ending.end(run, decision))

    async def _written(self, budget: Budget, write: Callable[[], Awaitable[DeliveryResult]]) -> DeliveryResult:
        """Written down as long as the budget lasts: what is known now must be found out anew otherwise."""
        while True:
            try:
                return await write()
            except StoreUnavailableError:
                if budget.left <= _TRY_AGAIN_S:
                    raise
                await self._clock.sleep(_TRY_AGAIN_S)

    async def _settle_earlier(self, run: ExecutionContext) -> Decision | None:
        """An earlier claim's begin may have booked: nothing is sent before that is known."""
        if not run.claim.begun:
            return None
        found = await run.settle()
        if isinstance(found, Ending):
            return found
        if found in (NotFound.UNKNOWN, NotFound.NOT_HERE):
            return Park(run.last_reason(over=Outcome.OUTCOME_UNKNOWN))
        run.settled = True
        if run.claim.settle_only:
            over = run.claim.now >= run.claim.give_up_at
            return run.last_reason(over=Outcome.EXPIRED if over else Outcome.ATTEMPTS_EXHAUSTED)
        return None

    async def _hold(self, run: ExecutionContext, permit: Permit | None) -> HeldRequest | Release:
        why = run.last_reason(over=Outcome.ATTEMPTS_EXHAUSTED)
        while run.budget.may_send():
            if permit and run.gym.silent:
                permit.lend()
            try:
                held = await run.hold()
            except BoxSilentError:
                why = Ending(Outcome.GYM_UNREACHABLE)
                if permit:
                    permit.lend()
                await self._reconnects.pause(run.box)
                await self._gate.quiet()
                continue
            self._reconnects.connected(run.box)
            return RenewedRequest(
                held,
                run.hold,
                opening=run.opening,
                clock=self._clock,
                now=self._opening_clock.now,
                quiet=self._gate.quiet,
                may_fire=run.may_send,
            )
        return Release(why)

    async def _begin(self, run: ExecutionContext) -> Decision | DeliveryResult | None:
        """None once it is recorded that the request may leave; unconfirmed, nothing is sent."""
        with self._begin_stagger.take(run.opening) as ahead_s:
            await sleep_until(self._clock, self._opening_clock.now, run.opening - ahead_s)
        await self._gate.quiet()
        if not run.budget.may_send():  # that wait may have been a long one
            return Release(run.last_reason(over=Outcome.ATTEMPTS_EXHAUSTED))
        # However often it is begun, and however late that arrives: it lasts at least until this instant.
        run.lease = Lease.until(self._clock, run.budget.answer_by + BEGIN_GRACE_S)
        while True:
            try:
                answer = await self._store.begin(
                    run.prebooking.id,
                    run.token,
                    lease_s=run.lease.left,
                    max_attempts=self._max_attempts,
                    settled=run.settled,
                    starts_at=run.starts_at,
                    book_until_minutes=self._patience.book_until_minutes,
                )
            except StoreUnavailableError:
                if not run.budget.may_send():
                    raise
                await self._clock.sleep(_TRY_AGAIN_S)
                continue
            break
        if answer.outcome == "begun" and answer.prebooking:
            run.begun, run.attempts = True, answer.prebooking.attempts
            if run.budget.may_send():
                return None
            return Release(run.last_reason(over=Outcome.ATTEMPTS_EXHAUSTED))
        if answer.outcome == Outcome.EXPIRED:
            return Ending(Outcome.EXPIRED, sentence=self._patience.too_close if answer.starts_at else None)
        if answer.outcome == Outcome.ATTEMPTS_EXHAUSTED:
            return run.last_reason(over=Outcome.ATTEMPTS_EXHAUSTED)
        return self._ending.not_claimed(answer)

    def _due_at(self, claim: Claim) -> float:
        """When QStash was to ring: at the earliest when it was told to."""
        row = claim.prebooking
        return max(not_before(row.available_at, self._lead_s), row.created_at.timestamp())

    def _timings(self, claim: Claim, budget: Budget) -> Timings:
        now = self._opening_clock.now()
        return Timings(
            available_at=claim.prebooking.available_at.timestamp(),
            delivered_at=now - (self._clock.monotonic() - budget.arrived),
            claimed_at=now,
            clock_offset_s=self._opening_clock.offset_s,
            earlier_shots=claim.shots,
        )
