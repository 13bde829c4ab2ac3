"""Bounds on the offset of another machine's clock from the monotonic clock of this one, by readings.

A reading shows only that the clock had some value between request and response, so it bounds the offset from both
sides. All readings of one clock hold at once, so their bounds are intersected, as in NTP (Marzullo's algorithm): a slow
reading does not widen the bounds of a quick one. With age the bounds widen by the possible drift of the two clocks.
"""

from dataclasses import dataclass
from math import inf

DRIFT = 1e-4  #: seconds a second, between two clocks; a quartz of a server is off by half of it at most
_RESOLUTION_S = 1e-6  # of a reading


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds on the offset, in seconds, at one instant of the monotonic clock."""

    low: float
    high: float
    at: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    @property
    def width(self) -> float:
        return self.high - self.low

    def low_at(self, now: float) -> float:
        return self.low - DRIFT * (now - self.at)

    def aged(self, now: float) -> "Bounds":
        return Bounds(self.low_at(now), self.high + DRIFT * (now - self.at), now)

    def intersect(self, later: "Bounds") -> "Bounds | None":
        """Returns the bounds that satisfy both, or None where they contradict each other."""
        aged = self.aged(later.at)
        low, high = max(aged.low, later.low), min(aged.high, later.high)
        return Bounds(low, high, later.at) if low <= high else None


class ClockOffset:
    """The intersection of all readings.

    A reading that contradicts it is wrong, or a clock was stepped. It replaces the intersection as soon as a second
    reading confirms it; a single wrong reading changes nothing.
    """

    def __init__(self) -> None:
        self._known = Bounds(-inf, inf, 0.0)
        self._conflicting: Bounds | None = None  #: the last reading, if it contradicts the known bounds

    def add_sample(self, shown: float, asked: float, answered: float) -> Bounds:
        """Adds a reading: the clock showed `shown` between these monotonic instants. Returns the bounds known now."""
        # The clock was read at some time of the round trip, and has gone on since then by its own seconds.
        low, high = shown - answered, shown - asked + DRIFT * (answered - asked)
        reading = Bounds(low - _RESOLUTION_S, high + _RESOLUTION_S, answered)
        agreed = self._known.intersect(reading)
        confirmed = self._conflicting.intersect(reading) if self._conflicting else None
        if agreed is not None:
            # A reading that agrees with both decides nothing.
            self._known, self._conflicting = agreed, confirmed
        elif confirmed is not None:
            self._known, self._conflicting = confirmed, None
        else:
            self._known, self._conflicting = self._known.aged(answered), reading
        return self._known
