"""When things happen: the instants of one execution, its budget, its delays, and the clock of the opening."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import floor, inf
from typing import Any

from prebooking.domain.clock_offset import Bounds, ClockOffset
from prebooking.domain.ports import Clock

# A platform kills at MAX_DURATION_SECONDS; each delivery is answered this long before.
ANSWER_MARGIN_S = 2.0
# An answer of the box is awaited until this long before ours is due, and no shot starts later than this before.
LAST_ANSWER_S = 1.0
LAST_SHOT_S = 2.0
# A delivery waits for its opening only if this much of its budget remains after it.
AFTER_OPENING_S = 3.0
# What a worker that began may still do after its deadline; then its request has arrived or never will.
BEGIN_GRACE_S = 12.0

RELEASE_DELAYS_S = (2, 5, 15, 45)
PARK_DELAYS_S = (15, 45, 300)
PARK_JITTER = 0.25  # either way: else all that one silent gym has parked comes back at one instant, time and again
# Of many shots the row keeps the first and the latest, and says how many there were between.
FIRST_SHOTS, LATEST_SHOTS = 8, 12
# How far the host's clock may be from the database's before the database's is followed (plus the round trip).
CLOCK_TOLERANCE_S = 0.5
# How fast a kernel corrects a clock that it doesn't step, in seconds a second.
SLEW = 5e-4


def instant(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)


def not_before(available_at: datetime, lead_s: float) -> int:
    """When the message is due, in whole epoch seconds (QStash knows no finer): never later than the lead."""
    return floor(available_at.timestamp()) - floor(lead_s)


def release_delay(attempts: int, *, least: float = 0.0) -> float:
    """Seconds until a released row is tried again: full jitter, so that 300 don't return together. `least`: the part of
    the longest delay that is waited for in any case.
    """
    longest = RELEASE_DELAYS_S[min(max(attempts, 1), len(RELEASE_DELAYS_S)) - 1]
    return random.uniform(least * longest, longest)  # noqa: S311  # spreads load, guards nothing


def park_delay(parks: int) -> float:
    """Seconds until a parked row is settled again, after the first try at the end of its begin's lease."""
    delay = PARK_DELAYS_S[min(max(parks, 1), len(PARK_DELAYS_S)) - 1]
    return delay * random.uniform(1 - PARK_JITTER, 1 + PARK_JITTER)  # noqa: S311  # spreads load, guards nothing


@dataclass(frozen=True, slots=True)
class Budget:
    """How long one execution may take. Monotonic seconds, from the arrival of its delivery."""

    clock: Clock
    arrived: float
    max_duration_s: float

    @property
    def answer_by(self) -> float:
        return self.arrived + self.max_duration_s - ANSWER_MARGIN_S

    @property
    def left(self) -> float:
        return self.answer_by - self.clock.monotonic()

    @property
    def for_answers(self) -> float:
        """Seconds for which the box may still be waited for."""
        return self.left - LAST_ANSWER_S

    def may_send(self) -> bool:
        return self.left > LAST_SHOT_S

    @property
    def horizon(self) -> float:
        """How many seconds ahead an opening may be, to be waited for here."""
        return max(0.0, self.left - AFTER_OPENING_S)


@dataclass(frozen=True, slots=True)
class Lease:
    """Until when a request that has begun may leave: an instant of both clocks of the host, since either may be wrong.

    The monotonic clock counts a suspend of which the system knows. A virtual machine that was paused knows of none, but
    its wall clock is set right afterwards: whichever of them says that the lease has ended is believed.
    """

    clock: Clock
    ends: float  #: on the monotonic clock
    ends_wall: float  #: epoch seconds

    @classmethod
    def until(cls, clock: Clock, ends: float) -> "Lease":
        return cls(clock, ends, clock.wall() + ends - clock.monotonic())

    @property
    def left(self) -> float:
        return self.ends - self.clock.monotonic()

    @property
    def holds(self) -> bool:
        return self.left > 0 and self.clock.wall() < self.ends_wall


class OpeningClock:
    """Tells the gate what time it is at the box.

    The host's clock is followed as it was when the database last agreed with it, carried on by the monotonic clock:
    a step during the wait can't fire early. If the two disagree by more than the tolerance and what is not known of the
    database's (a round trip, at first), the database's is carried on instead, at its slowest: it can't fire early
    either. A small correction of the host's clock since then counts where it delays.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._database = ClockOffset()
        self._known: Bounds | None = None  #: of the database's clock, where that is followed
        self._anchor = clock.wall() - clock.monotonic()
        self._compared = -inf
        self.offset_s = 0.0  #: database − host, as last measured

    def compare(self, database_now: datetime, asked: float, answered: float) -> bool:
        """Takes in a reading of the database's clock, asked and answered at these monotonic instants.

        Returns whether the database's clock has to be taken for the host's.
        """
        now = self._clock.monotonic()
        known = self._database.take(database_now.timestamp(), asked, answered).aged(now)
        host = self._clock.wall() - now
        self.offset_s = known.middle - host
        overruled = abs(self.offset_s) > CLOCK_TOLERANCE_S + known.width
        if not overruled:
            # If it was stepped forward since, it is followed as far as the database agrees, and slowly from there.
            slewed = self.now() - now + SLEW * (now - self._compared)
            self._anchor = min(host, max(slewed, known.high))
        self._known, self._compared = known if overruled else None, now
        return overruled

    def now(self) -> float:
        """Epoch seconds."""
        now = self._clock.monotonic()
        carried = now + (self._anchor if self._known is None else self._known.low_at(now))
        host = self._clock.wall()
        return host if 0 < carried - host <= CLOCK_TOLERANCE_S else carried


@dataclass(slots=True)
class Shot:
    """One booking request that left."""

    fired_at: float
    answered_at: float | None = None
    outcome: str = "unanswered"

    def as_json(self) -> dict[str, Any]:
        answered = None if self.answered_at is None else _iso(self.answered_at)
        return {
            "fired_at": _iso(self.fired_at),
            "answered_at": answered,
            "outcome": self.outcome,
        }


@dataclass(slots=True)
class Timings:
    """The instants of one execution (epoch seconds), and all shots of the prebooking, earlier claims' included."""

    available_at: float
    delivered_at: float
    claimed_at: float
    clock_offset_s: float
    earlier_shots: tuple[dict[str, Any], ...] = ()
    ready_at: float | None = None
    shots: list[Shot] = field(default_factory=list)

    def all_shots(self) -> list[dict[str, Any]]:
        """Returns at most FIRST_SHOTS + LATEST_SHOTS of them; `left_out` counts those missing before its shot."""
        shots = [*self.earlier_shots, *(shot.as_json() for shot in self.shots)]
        left_out = shots[FIRST_SHOTS:-LATEST_SHOTS]
        if not left_out:
            return shots
        after = shots[-LATEST_SHOTS]
        number = len(left_out) + sum(shot.get("left_out", 0) for shot in (*left_out, after))
        return [*shots[:FIRST_SHOTS], after | {"left_out": number}, *shots[1 - LATEST_SHOTS :]]

    def as_json(self) -> dict[str, Any]:
        first_fired, last = self._first_fired(), self.shots[-1] if self.shots else None
        answered = last.answered_at if last else None
        return {
            "delivered_at": _iso(self.delivered_at),
            "claimed_at": _iso(self.claimed_at),
            "ready_at": None if self.ready_at is None else _iso(self.ready_at),
            "fired_at": None if first_fired is None else _iso(first_fired),
            "fire_lateness_ms": None if first_fired is None else _ms(max(0.0, first_fired - self.available_at)),
            "answered_at": None if answered is None else _iso(answered),
            "response_ms": None if last is None or answered is None else _ms(answered - last.fired_at),
            "clock_offset_ms": _ms(self.clock_offset_s),
            "shots": self.all_shots(),
        }

    def _first_fired(self) -> float | None:
        if self.earlier_shots:
            return datetime.fromisoformat(self.earlier_shots[0]["fired_at"]).timestamp()
        return self.shots[0].fired_at if self.shots else None


def _iso(epoch_s: float) -> str:
    return instant(epoch_s).isoformat().replace("+00:00", "Z")


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
