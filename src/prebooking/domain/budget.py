"""The time limits of one execution, and of a begun request."""

from dataclasses import dataclass

from prebooking.domain.ports import Clock

# A platform kills at MAX_DURATION_SECONDS; each delivery is answered this long before.
ANSWER_MARGIN_S = 2.0
# How long before the deadline of the delivery the wait for the box's answer ends, and the last request may be sent.
LAST_ANSWER_S = 1.0
LAST_SHOT_S = 2.0
_LAST_SHOT_BEFORE_END_S = ANSWER_MARGIN_S + LAST_SHOT_S
# A delivery waits for its opening only if this much of its budget remains after it.
AFTER_OPENING_S = 3.0
# How long after its deadline a request that has begun may still arrive at the gym.
BEGIN_GRACE_S = 12.0


@dataclass(frozen=True, slots=True)
class Budget:
    """The time limit of one execution, in monotonic seconds from the arrival of its delivery."""

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
        """The seconds for which the execution may still wait for the box."""
        return self.left - LAST_ANSWER_S

    def may_send(self) -> bool:
        return self.clock.monotonic() < self.arrived + self.max_duration_s - _LAST_SHOT_BEFORE_END_S

    @property
    def horizon(self) -> float:
        """How far ahead an opening may be, in seconds, for this execution to wait for it."""
        return max(0.0, self.left - AFTER_OPENING_S)


@dataclass(frozen=True, slots=True)
class Lease:
    """The end of a claim's lease, after which its request may not be sent, on both clocks of the host.

    The lease has ended as soon as either clock says so. The monotonic clock counts a suspend that the system knows of.
    A virtual machine that was paused does not know it, but its wall clock is corrected afterwards.
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
