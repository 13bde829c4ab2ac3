"""The clock by which openings are timed: the host's, or the database's if they disagree."""

from datetime import datetime
from math import inf

from prebooking.domain.clock_offset import Bounds, ClockOffset
from prebooking.domain.ports import Clock

# How far apart the clocks may be, beside the uncertainty of the database's, before that is followed.
CLOCK_TOLERANCE_S = 0.5
# How fast a kernel corrects a clock that it doesn't step, in seconds a second.
SLEW = 5e-4
# A long sleep oversleeps by 0.1 % of its length. So a wait is slept through in parts, each a fraction of the rest, and
# none so long that a machine which was suspended in it goes on sleeping long after it should have woken.
_SLEEP_FRACTION = 0.9
_LAST_SLEEP_S = 0.02  # from here on the rest is slept through at once
_LONGEST_SLEEP_S = 0.5


class OpeningClock:
    """The time that decides when a request is fired.

    It is the host's time when the database last agreed with it, plus the monotonic time since: a step of the host's
    clock during the wait can't fire a request early. If the two clocks differ by more than the tolerance plus the
    uncertainty of the database's (at first, a round trip), it is the earliest possible time of the database instead,
    which can't fire early either. A small correction of the host's clock since then is applied if it delays the
    request.
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

        Returns whether the database's clock is used instead of the host's.
        """
        now = self._clock.monotonic()
        known = self._database.add_sample(database_now.timestamp(), asked, answered).aged(now)
        host = self._clock.wall() - now
        self.offset_s = known.middle - host
        overruled = abs(self.offset_s) > CLOCK_TOLERANCE_S + known.width
        if not overruled:
            # A forward step since then is followed as far as the database agrees with it, and slowly beyond.
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

    def monotonic(self) -> float:
        """See prebooking.domain.ports.Clock, as `sleep`."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def sleep_until(self, instant: float) -> None:
        """Returns within milliseconds after the instant (epoch seconds), never before."""
        while (left := instant - self.now()) > 0:
            await self._clock.sleep(min(left * _SLEEP_FRACTION, _LONGEST_SLEEP_S) if left > _LAST_SLEEP_S else left)
