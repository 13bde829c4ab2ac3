"""What the opening's clock makes of any sequence of readings of the database's clock: quick, slow, late or wrong."""

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.fake_clock import FakeClock

from prebooking.domain.clock_offset import DRIFT
from prebooking.domain.opening_clock import CLOCK_TOLERANCE_S, SLEW, OpeningClock
from prebooking.domain.timings import instant

_GRAIN_S = 1e-5  # of the fake clock's looks, and of what is read


@dataclass(frozen=True, slots=True)
class Reading:
    """The database's clock is asked; it shows its time somewhere between asking and hearing."""

    pause_s: float  #: before it
    round_trip_s: float
    back: float  #: the part of the round trip that the answer takes
    step_s: float  #: by which the host's clock is stepped before it
    wrong_s: float = 0.0


@dataclass(slots=True)
class Host:
    """A host, and a database whose clock is true but for a drift between the two."""

    drift: float = 0.0
    clock: FakeClock = field(default_factory=FakeClock)
    taken: list[tuple[float, float]] = field(default_factory=list)  #: round trip, and when it ended
    opening_clock: OpeningClock = field(init=False)
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self.opening_clock = OpeningClock(self.clock)
        self._started = self.clock.monotonic()

    @property
    def true_time(self) -> float:
        return self.clock.true_time + self.drift * (self.clock.monotonic() - self._started)

    def take(self, reading: Reading) -> bool:
        self.clock.wall_offset += reading.step_s
        self.clock.true_time += reading.pause_s
        asked = self.clock.monotonic()
        self.clock.true_time += reading.round_trip_s * (1 - reading.back)
        shown = instant(self.true_time + reading.wrong_s)
        self.clock.true_time += reading.round_trip_s * reading.back
        answered = self.clock.monotonic()
        self.taken.append((answered - asked, answered))
        return self.opening_clock.update(shown, asked, answered)

    @property
    def error_s(self) -> float:
        """Positive: an opening would be fired so much early."""
        return self.opening_clock.now() - self.true_time

    @property
    def best_s(self) -> float:
        """How unsure the best reading alone would leave us by now."""
        now = self.clock.monotonic()
        return min(took + DRIFT * (took + 2 * (now - answered)) for took, answered in self.taken) + _GRAIN_S


def quick(**more: float) -> Reading:
    return Reading(**{"pause_s": 1.0, "round_trip_s": 0.01, "back": 0.5, "step_s": 0.0} | more)


STEPS = st.one_of(st.just(0.0), st.floats(-5, 5))
READINGS = st.builds(Reading, st.floats(0, 3600), st.floats(0, 3), st.floats(0, 1), STEPS)
DRIFTS = st.floats(-DRIFT, DRIFT).map(lambda drift: drift * 0.9)


@example(0.5 * DRIFT, 2.0, [Reading(pause_s=0, round_trip_s=1, back=1, step_s=0)])
@given(DRIFTS, STEPS, st.lists(READINGS, min_size=1, max_size=12))
def test_the_error_is_never_beyond_what_the_best_reading_allows(
    drift: float, host_off_s: float, readings: list[Reading]
) -> None:
    host = Host(drift)
    host.clock.wall_offset = host_off_s
    for reading in readings:
        overruled = host.take(reading)
        if overruled:
            assert -host.best_s <= host.error_s <= _GRAIN_S
        else:
            assert abs(host.error_s) <= CLOCK_TOLERANCE_S + 1.5 * host.best_s


@example(-0.8 * DRIFT, [Reading(pause_s=0, round_trip_s=0, back=0, step_s=0)], 0.0625)
@given(DRIFTS, st.lists(READINGS, min_size=1, max_size=8), st.floats(0, 90))
async def test_what_is_held_is_never_fired_earlier_than_the_best_reading_allows(
    drift: float, during: list[Reading], wait_s: float
) -> None:
    host = Host(drift)
    host.take(quick())
    opening, remaining = host.true_time + wait_s, [*during]
    ahead_s = max(0.0, host.error_s)  # before the wait: within the tolerance the host's own clock is followed

    def meddle() -> None:
        if remaining:
            host.take(remaining.pop())

    host.clock.on_sleep = meddle
    started = host.clock.monotonic()
    await host.opening_clock.sleep_until(opening)
    slewed_s = (SLEW + 2 * DRIFT) * (host.clock.monotonic() - started)
    assert host.true_time >= opening - ahead_s - host.best_s - slewed_s


@given(st.floats(-30, 30).filter(lambda off: abs(off) > 0.52), st.floats(0, 5), st.floats(0, 1))
def test_one_slow_claim_never_brings_a_wrong_clock_back(off_s: float, round_trip_s: float, back: float) -> None:
    host = Host()
    host.clock.wall_offset = off_s
    assert host.take(quick())
    assert host.take(quick(round_trip_s=round_trip_s, back=back))
    assert -0.015 < host.error_s <= _GRAIN_S


def test_a_claim_answered_late_makes_no_held_opening_late() -> None:
    host = Host()
    host.clock.wall_offset = 5
    host.take(quick())
    host.take(quick(round_trip_s=0.8, back=1.0))
    assert -0.015 < host.error_s <= _GRAIN_S


@pytest.mark.parametrize("wrong_s", [-3600.0, -2.0, 2.0, 3600.0])
def test_one_wrong_reading_changes_nothing(wrong_s: float) -> None:
    host = Host()
    host.take(quick())
    for _ in range(3):
        host.take(quick(wrong_s=wrong_s))
        assert abs(host.error_s) <= _GRAIN_S
        host.take(quick())
        assert abs(host.error_s) <= _GRAIN_S


@pytest.mark.parametrize("step_s", [-7.0, 7.0])
def test_a_step_of_the_databases_clock_is_followed_once_a_second_reading_confirms_it(step_s: float) -> None:
    host = Host()
    host.take(quick())
    assert not host.take(quick(wrong_s=step_s))
    # This one agrees with either: unknown is no confirmation.
    assert not host.take(quick(wrong_s=step_s / 2, round_trip_s=10))
    assert host.take(quick(wrong_s=step_s))
    assert host.error_s == pytest.approx(step_s, abs=0.015)


def test_two_wrong_readings_that_contradict_each_other_confirm_nothing() -> None:
    host = Host()
    host.take(quick())
    for wrong_s in (5, -5, 10, -10):
        assert not host.take(quick(wrong_s=wrong_s))
    assert abs(host.error_s) <= _GRAIN_S


def test_a_wrong_first_reading_is_not_for_ever() -> None:
    host = Host()
    assert host.take(quick(wrong_s=60))
    host.take(quick())
    assert not host.take(quick())
    assert abs(host.error_s) <= _GRAIN_S


def test_a_reading_ages_until_a_worse_one_tells_more() -> None:
    host = Host()
    host.clock.wall_offset = 0.9
    assert host.take(quick())
    # A day later the two may have drifted apart by more than the host is off.
    assert not host.take(quick(pause_s=86_400, round_trip_s=0.5))


@pytest.mark.parametrize("step_s", [0.1, 0.3, 0.45])
def test_a_host_that_is_stepped_forward_is_followed_as_far_as_the_database_agrees(step_s: float) -> None:
    host = Host()
    host.take(quick())
    host.take(quick(step_s=step_s))
    assert host.error_s <= 0.015
    # Its clock was late and is right now.
    late = Host()
    late.clock.wall_offset = -step_s
    late.take(quick())
    late.take(quick(step_s=step_s))
    assert abs(late.error_s) <= 0.015


def test_beyond_that_it_is_followed_as_fast_as_a_kernel_corrects_a_clock() -> None:
    host = Host()
    host.take(quick())
    host.take(quick(step_s=0.3))
    before_s = host.error_s
    host.take(quick(pause_s=100.0))
    assert host.error_s - before_s == pytest.approx(100 * SLEW, rel=0.01)
