"""The clock of the opening: the host's, or the database's where the two disagree."""

from datetime import datetime
from math import inf

from prebooking.domain.clock_offset import Bounds, ClockOffset
from prebooking.domain.ports import Clock

# How far the host's clock may be from the database's before the database's is followed (plus the round trip).
CLOCK_TOLERANCE_S = 0.5
# How fast a kernel corrects a clock that it doesn't step, in seconds a second.
SLEW = 5e-4


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
        self._updated = -inf
        self.offset_s = 0.0  #: database − host, as last measured

    def update(self, database_now: datetime, asked: float, answered: float) -> bool:
        """Adds a reading of the database's clock, asked and answered at these monotonic instants.

        Returns whether the database's clock has to be taken for the host's.
        """
        now = self._clock.monotonic()
        known = self._database.add_sample(database_now.timestamp(), asked, answered).aged(now)
        host = self._clock.wall() - now
        self.offset_s = known.middle - host
        overruled = abs(self.offset_s) > CLOCK_TOLERANCE_S + known.width
        if not overruled:
            # If it was stepped forward since, it is followed as far as the database agrees, and slowly from there.
            slewed = self.now() - now + SLEW * (now - self._updated)
            self._anchor = min(host, max(slewed, known.high))
        self._known, self._updated = known if overruled else None, now
        return overruled

    def now(self) -> float:
        """Epoch seconds."""
        now = self._clock.monotonic()
        carried = now + (self._anchor if self._known is None else self._known.low_at(now))
        host = self._clock.wall()
        return host if 0 < carried - host <= CLOCK_TOLERANCE_S else carried
