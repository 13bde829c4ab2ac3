"""The context of one execution, which the steps of the pipeline share, and the decisions that end it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prebooking.concurrency.fair_semaphore import FairSemaphore, Permit
from prebooking.domain.booking_limits import BookingLimits
from prebooking.domain.budget import Budget, Lease
from prebooking.domain.claims import Claim
from prebooking.domain.class_start import start_of
from prebooking.domain.opening_clock import OpeningClock
from prebooking.domain.outcome import Ending
from prebooking.domain.ports import Store
from prebooking.domain.prebooking import BookingRequest, Box, Prebooking, Session
from prebooking.domain.target import Target
from prebooking.domain.timings import Timings
from prebooking.domain.transitions import Transition
from prebooking.usecases.booking.begin_stagger import BeginStagger
from prebooking.usecases.booking.claiming import Claims
from prebooking.usecases.booking.day_listings import DayListings
from prebooking.usecases.booking.gate import Gate, Rank
from prebooking.usecases.booking.reconnects import Reconnects
from prebooking.usecases.booking.renewed_request import RenewedRequest
from prebooking.usecases.guarded_gyms import GuardedGym
from prebooking.usecases.sessions.revive import Revival, SessionReviver


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
    """No request of this claim has left, and it counts as no attempt: this process shuts down, or is overloaded."""

    retry_s: float = 0.0


@dataclass(frozen=True, slots=True)
class NotOurs:
    """The database refused the transition, as `answer` says. There is nothing to record."""

    answer: Transition


@dataclass(frozen=True, slots=True)
class Again:
    """The request is to be sent again: it did not book. Not a decision: there may be no time for it."""

    reason: Ending


Decision = Ending | Release | Park | Interrupted | NotOurs


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the executions of one process share."""

    store: Store
    gate: Gate
    clock: OpeningClock
    claims: Claims
    permits: FairSemaphore  #: for the steps before the gate
    listings: DayListings
    reconnects: Reconnects
    begin_stagger: BeginStagger
    reviver: SessionReviver
    limits: BookingLimits
    max_attempts: int


@dataclass(slots=True, kw_only=True)
class ExecutionContext:
    """A claimed prebooking, and the state of its execution."""

    shared: Shared
    claim: Claim
    token: UUID
    request: BookingRequest  #: the request that is held or was sent last
    target: Target  #: the class to send
    box: Box
    gym: GuardedGym  #: asked even while it is silent
    settling: GuardedGym  #: the same gym, asked sparsely while it is silent
    revival: Revival  #: of the session
    budget: Budget
    timings: Timings
    opening: float  #: epoch seconds
    attempts: int
    permit: Permit | None = None
    held: RenewedRequest | None = None  #: the request that waits at the gate
    settled: bool = False  #: the earlier begin was settled as absent
    begun: bool = False  #: this claim has begun
    lease: Lease | None = None  #: of its begin; the database's lasts at least as long
    unsure: bool = False  #: a request of this claim got no clear answer, so a refusal no longer counts
    absent: bool = False  #: the gym's listing has the class, without the user
    sent_to_empty_day: bool = False  #: when the latest request left, the gym listed no class of that day
    entered: bool = False  #: the box was told of the session

    @property
    def prebooking(self) -> Prebooking:
        return self.claim.prebooking

    @property
    def session(self) -> Session:
        """Returns the session, as it was revived."""
        return self.revival.session

    @property
    def clock(self) -> OpeningClock:
        return self.shared.clock

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
        if self.begun or begun_as is None:  # None: begun by an earlier version, which always sends the row's id
            return self.request.class_id, True
        return begun_as.id or self.target.wanted.id, begun_as.id is not None

    @property
    def since_opening_s(self) -> float:
        return self.clock.now() - self.opening

    def may_send(self) -> bool:
        """Returns whether the request may be sent. Called right before a write: the process may have been suspended."""
        return self.budget.may_send() and self.lease is not None and self.lease.holds


def timings_of(claim: Claim, budget: Budget, opening_clock: OpeningClock) -> Timings:
    now = opening_clock.now()
    return Timings(
        available_at=claim.prebooking.available_at.timestamp(),
        delivered_at=now - (budget.clock.monotonic() - budget.arrived),
        claimed_at=now,
        clock_offset_s=opening_clock.offset_s,
        earlier_shots=claim.shots,
    )
