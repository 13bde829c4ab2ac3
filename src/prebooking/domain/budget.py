"""How long one execution may take, and until when a request that has begun may leave."""

from dataclasses import dataclass

from prebooking.domain.ports import Clock

# A platform kills at MAX_DURATION_SECONDS; each delivery is answered this long before.
ANSWER_MARGIN_S = 2.0
# An answer of the box is awaited until this long before ours is due, and no shot starts later than this before.
LAST_ANSWER_S = 1.0
LAST_SHOT_S = 2.0
_LAST_SHOT_BEFORE_END_S = ANSWER_MARGIN_S + LAST_SHOT_S
# A delivery waits for its opening only if this much of its budget remains after it.
AFTER_OPENING_S = 3.0
# What a worker that began may still do after its deadline; then its request has arrived or never will.
BEGIN_GRACE_S = 12.0


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
        return self.clock.monotonic() < self.arrived + self.max_duration_s - _LAST_SHOT_BEFORE_END_S

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
