"""The context of one execution, which the steps of the pipeline share, and the decisions that end it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from prebooking.concurrency.fair_semaphore import Permit
from prebooking.domain.budget import Budget, Lease
from prebooking.domain.claims import Claim
from prebooking.domain.class_start import start_of
from prebooking.domain.errors import BoxSilentError
from prebooking.domain.opening_clock import OpeningClock
from prebooking.domain.outcome import Ending, Outcome
from prebooking.domain.ports import Clock, HeldRequest
from prebooking.domain.prebooking import BookingRequest, Box, Prebooking, Session
from prebooking.domain.target import Target
from prebooking.domain.timings import Timings
from prebooking.domain.transitions import Transition
from prebooking.usecases.booking.gate import Rank
from prebooking.usecases.booking.renewed_request import RenewedRequest
from prebooking.usecases.guarded_gyms import GuardedGym
from prebooking.usecases.sessions.refresh import PATIENCE_S
from prebooking.usecases.sessions.revive import WRONG_SIGN_IN, Revived, SessionReviver

_REFRESH_S = 4.0
_SIGN_IN_S = 6.0
_SIGN_IN_BEFORE_S = 2.0
_TO_END_S = 0.3  # of the budget, for what follows a refresh that was waited for
_LEAST_REFRESH_S = 2.0  # with less left it would come too late, and a host that sleeps after the answer could lose it


@dataclass(frozen=True, slots=True)
class Release:
    """It is surely not booked, and is tried again later."""

    reason: Ending


@dataclass(frozen=True, slots=True)
class Park:
    """It may be booked, and is settled later."""

    reason: Ending


@dataclass(frozen=True, slots=True)
class Interrupted:
    """No request has left, and it counts as no attempt: this process is shutting down, or is overloaded."""

    retry_s: float = 0.0


@dataclass(frozen=True, slots=True)
class NotOurs:
    """The row was taken over or has ended, as `answer` says. There is nothing to record."""

    answer: Transition


Decision = Ending | Release | Park | Interrupted | NotOurs


@dataclass(slots=True, kw_only=True)
class ExecutionContext:
    """A claimed prebooking, and the state of its execution."""

    claim: Claim
    prebooking: Prebooking
    token: UUID
    request: BookingRequest  #: the request that is held or was sent last
    target: Target  #: the class to send
    box: Box
    gym: GuardedGym  #: asked even while it is silent
    settling: GuardedGym  #: the same gym, asked sparsely while it is silent
    session: Session
    budget: Budget
    timings: Timings
    clock: Clock
    opening: float  #: epoch seconds
    now: Callable[[], float]  #: the opening's clock, which stamps the shots
    revival: SessionReviver
    attempts: int
    permit: Permit | None = None  #: for the steps before the gate
    held: RenewedRequest | None = None  #: the request that waits at the gate
    settled: bool = False  #: the earlier begin was settled as absent
    begun: bool = False  #: this claim has begun
    lease: Lease | None = None  #: of its begin; the database's lasts at least as long
    unsure: bool = False  #: a request of this claim got no clear answer, so a refusal no longer counts
    absent: bool = False  #: the gym's listing has the class, without the user
    entered: bool = False  #: the box was told of the session
    password_refused: bool = False  #: the remembered one, so the session could not be signed in again
    _revived: bool = False
    _refreshing: asyncio.Task[Revived] | None = None

    @property
    def starts_at(self) -> datetime | None:
        """Returns the class's start, by the gym's listing."""
        found = self.target.found
        return start_of(self.request.day, found.hour, self.claim.time_zone) if found else None

    @property
    def rank(self) -> Rank:
        return self.prebooking.created_at, self.prebooking.id

    @property
    def sent(self) -> tuple[str | None, bool]:
        """Returns the id with which a request may have been sent, and whether certainly with no other."""
        begun_as = self.claim.begun_as
        if self.begun or begun_as is None:  # the latter by a version that sends no other
            return self.request.class_id, True
        return begun_as.id or self.target.wanted.id, begun_as.id is not None

    @property
    def since_opening_s(self) -> float:
        return self.now() - self.opening

    def may_send(self) -> bool:
        """Returns whether the request may be sent. Called right before a write: the process may have been suspended."""
        return self.budget.may_send() and self.lease is not None and self.lease.holds

    async def restore_session(self, patience_s: float = PATIENCE_S) -> bool:
        """Refreshes the dead session, or signs it in again, once in an execution. Returns whether it is alive then.

        Raises BoxSilentError if that is not known. If a caller is cancelled the refresh goes on, and the next caller
        waits for it. `patience_s`: see SessionRefresher.refresh.
        """
        if self._revived:
            return False
        if self._refreshing is None:
            if self.budget.for_answers < _LEAST_REFRESH_S:
                raise BoxSilentError("no time left for a refresh")
            longest = _SIGN_IN_S if self.session.remembered else _REFRESH_S
            self._refreshing = asyncio.create_task(
                self.revival.revive(
                    self.gym,
                    self.prebooking.user_email,
                    self.session,
                    within_s=min(longest, max(0.0, self.budget.for_answers)),
                    patience_s=patience_s,
                    may_sign_in=self._may_sign_in,
                )
            )
        refreshing = self._refreshing
        try:
            revived = await asyncio.shield(refreshing)
        except BoxSilentError:
            self._refreshing = None
            raise
        self._revived, self.password_refused = True, revived.password_refused
        if revived.session is not None:
            self.session = revived.session
        return revived.session is not None

    def _may_sign_in(self) -> bool:
        """Returns False so shortly before the opening that the request would be late."""
        return not -_SIGN_IN_BEFORE_S < self.since_opening_s < 0

    def session_ended(self, ending: Ending) -> Ending:
        """Returns the ending with the reason why the session was not signed in again."""
        return replace(ending, sentence=WRONG_SIGN_IN) if self.password_refused else ending

    async def aclose(self) -> None:
        """Cancels a refresh that may still be running. A token refresh that was sent goes on by itself; on a host that
        sleeps between requests it has no more time than the budget.
        """
        if self._refreshing is not None:
            await asyncio.wait({self._refreshing}, timeout=max(0.0, self.budget.left - _TO_END_S))
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)

    def aim(self) -> None:
        """Gives the waiting request the class that was found since."""
        if self.held is not None and self.held.fired_at is None:
            self._aim(self.held)

    def _aim(self, held: HeldRequest) -> None:
        class_id = self.target.class_id
        if class_id not in (None, self.request.class_id):
            self.request = replace(self.request, class_id=class_id)
            held.aim(class_id)

    async def hold(self) -> HeldRequest:
        """Returns the booking request, held on an open connection. Raises BoxSilentError."""
        self.request = replace(self.request, class_id=self.target.class_id)
        held = self.gym.hold(self.request)
        try:
            async with asyncio.timeout(self.budget.for_answers):
                await held.ready()
        except BaseException as exc:
            await held.aclose()
            if isinstance(exc, TimeoutError):
                raise BoxSilentError("no connection in time") from exc
            raise
        self._aim(held)  # the class may have been found while it was connecting
        return held

    def last_reason(self, *, over: Outcome) -> Ending:
        """Returns why earlier attempts did not book it, if known; else `over`."""
        claim = self.claim
        if over is Outcome.ATTEMPTS_EXHAUSTED and claim.last_outcome:
            return Ending(Outcome(claim.last_outcome), sentence=claim.last_message)
        return Ending(over, claim.last_message or "")


def timings_of(claim: Claim, budget: Budget, opening_clock: OpeningClock) -> Timings:
    now = opening_clock.now()
    return Timings(
        available_at=claim.prebooking.available_at.timestamp(),
        delivered_at=now - (budget.clock.monotonic() - budget.arrived),
        claimed_at=now,
        clock_offset_s=opening_clock.offset_s,
        earlier_shots=claim.shots,
    )
