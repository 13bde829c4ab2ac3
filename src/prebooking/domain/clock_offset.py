"""How far another machine's clock is from the monotonic clock here, as far as its readings tell.

A reading tells that the clock showed some instant between asking and hearing, and no more: it bounds the offset from
both sides. All readings of one clock are true at once, so they are intersected, as NTP does it (Marzullo's algorithm):
a slow one takes nothing away from what a quick one told. With age the bounds widen, by what two clocks may drift apart.
"""

from dataclasses import dataclass
from math import inf

DRIFT = 1e-4  #: seconds a second, between two clocks; a quartz of a server is off by half of it at most
_RESOLUTION_S = 1e-6  # of a reading


@dataclass(frozen=True, slots=True)
class Bounds:
    """The offset lies between these, at one instant of the monotonic clock. In seconds."""

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
    """The intersection of the readings.

    One that contradicts it is wrong, or a clock was stepped: believed as soon as another contradicts it, too, and
    agrees with the first. Until then one bad reading spoils nothing, and afterwards one bad reading is not for ever.
    """

    def __init__(self) -> None:
        self._known = Bounds(-inf, inf, 0.0)
        self._conflicting: Bounds | None = None  #: the last reading, if it contradicts the known bounds

    def add_sample(self, shown: float, asked: float, answered: float) -> Bounds:
        """Adds a reading: the clock showed `shown` between these monotonic instants. Returns the bounds known now."""
        # Since it was read the clock has gone on, for no time at all or for the whole round trip, by its own seconds.
        low, high = shown - answered, shown - asked + DRIFT * (answered - asked)
        reading = Bounds(low - _RESOLUTION_S, high + _RESOLUTION_S, answered)
        agreed = self._known.intersect(reading)
        confirmed = self._conflicting.intersect(reading) if self._conflicting else None
        if agreed is not None:
            # One that agrees with both decides nothing between them.
            self._known, self._conflicting = agreed, confirmed
        elif confirmed is not None:
            self._known, self._conflicting = confirmed, None
        else:
            self._known, self._conflicting = self._known.aged(answered), reading
        return self._known
