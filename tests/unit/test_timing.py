"""The instants of an execution: its budget, its delays, and the clock of the opening."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.fake_clock import FakeClock

from prebooking.domain.budget import Budget, Lease
from prebooking.domain.delays import not_before, park_delay, release_delay
from prebooking.domain.opening_clock import OpeningClock
from prebooking.domain.timings import FIRST_SHOTS, LATEST_SHOTS, Shot, Timings, instant

OPENING = datetime(2026, 3, 1, 7, 0, tzinfo=UTC)


def compared(clock: FakeClock, *, database_ahead_s: float, round_trip_s: float = 0.0) -> tuple[OpeningClock, bool]:
    opening_clock, asked = OpeningClock(clock), clock.monotonic()
    clock.true_time += round_trip_s
    read = instant(clock.wall() + database_ahead_s - round_trip_s / 2)
    return opening_clock, opening_clock.update(read, asked, clock.monotonic())


def test_a_delivery_is_answered_two_seconds_before_the_platform_kills() -> None:
    clock = FakeClock()
    budget = Budget(clock, clock.monotonic(), max_duration_s=10)
    assert budget.left == pytest.approx(8)
    assert budget.for_answers == pytest.approx(7)


def test_no_shot_starts_in_the_last_two_seconds_of_the_budget() -> None:
    clock = FakeClock()
    budget = Budget(clock, clock.monotonic(), max_duration_s=10)
    clock.true_time += 5.9
    assert budget.may_send()
    clock.true_time += 0.1
    assert not budget.may_send()


def test_an_opening_is_waited_for_only_if_three_seconds_remain_after_it() -> None:
    clock = FakeClock()
    budget = Budget(clock, clock.monotonic(), max_duration_s=10)
    assert budget.horizon == pytest.approx(5)
    clock.true_time += 6
    assert budget.horizon == 0


@given(st.floats(min_value=-5, max_value=5))
def test_a_step_of_the_wall_clock_changes_no_budget(step: float) -> None:
    clock = FakeClock()
    budget = Budget(clock, clock.monotonic(), max_duration_s=10)
    left = budget.left
    clock.wall_offset = step
    assert budget.left == left


@pytest.mark.parametrize(
    ("passed_s", "step_s", "holds"),
    [
        (4.9, 0.0, True),
        (5.1, 0.0, False),
        (5.1, -60.0, False),  # the wall clock was set back
        (0.0, 6.0, False),  # a virtual machine was paused, which its monotonic clock does not know
    ],
)
def test_a_lease_has_ended_as_soon_as_either_clock_says_so(passed_s: float, step_s: float, *, holds: bool) -> None:
    clock = FakeClock()
    clock.wall_offset = 1000.0
    lease = Lease.until(clock, clock.monotonic() + 5)
    clock.true_time += passed_s
    clock.wall_offset += step_s
    assert lease.holds is holds
    assert lease.left == pytest.approx(5 - passed_s, abs=0.001)


@given(st.lists(st.floats(min_value=-30, max_value=30), max_size=8))
async def test_steps_of_the_host_clock_during_the_wait_never_fire_early(steps: list[float]) -> None:
    clock = FakeClock()
    opening_clock, _ = compared(clock, database_ahead_s=0)
    opening, remaining = clock.true_time + 3, list(steps)

    def step() -> None:
        clock.wall_offset += remaining.pop() if remaining else 0

    clock.on_sleep = step
    await opening_clock.sleep_until(opening)
    assert clock.true_time >= opening - 1e-6


async def test_a_large_step_backwards_does_not_delay_the_shot() -> None:
    clock = FakeClock()
    opening_clock, _ = compared(clock, database_ahead_s=0)
    opening = clock.true_time + 3
    clock.wall_offset = -20
    await opening_clock.sleep_until(opening)
    assert clock.true_time - opening < 0.01


def test_a_small_correction_backwards_is_followed_because_it_only_delays() -> None:
    clock = FakeClock()
    opening_clock, _ = compared(clock, database_ahead_s=0)
    clock.wall_offset = -0.2
    assert opening_clock.now() == pytest.approx(clock.true_time - 0.2)
    clock.wall_offset = 0.2
    assert opening_clock.now() == pytest.approx(clock.true_time)


@pytest.mark.parametrize("ahead", [-4.0, -0.6, 0.6, 4.0])
def test_the_database_overrules_a_host_that_is_off_by_more_than_half_a_second(ahead: float) -> None:
    clock = FakeClock()
    opening_clock, overruled = compared(clock, database_ahead_s=ahead)
    assert overruled
    assert opening_clock.offset_s == pytest.approx(ahead, abs=1e-3)
    clock.true_time += 2
    assert opening_clock.now() == pytest.approx(clock.true_time + ahead, abs=1e-3)


@pytest.mark.parametrize("ahead", [-0.4, 0.0, 0.4])
def test_a_host_within_half_a_second_of_the_database_is_followed(ahead: float) -> None:
    clock = FakeClock()
    opening_clock, overruled = compared(clock, database_ahead_s=ahead)
    assert not overruled
    assert opening_clock.now() == pytest.approx(clock.true_time)
    assert opening_clock.offset_s == pytest.approx(ahead, abs=1e-3)


def test_a_slow_answer_of_the_database_is_not_taken_for_a_wrong_host() -> None:
    assert not compared(FakeClock(), database_ahead_s=0.9, round_trip_s=0.5)[1]
    assert compared(FakeClock(), database_ahead_s=1.1, round_trip_s=0.5)[1]


def test_a_host_that_was_overruled_is_followed_again_once_it_agrees() -> None:
    clock = FakeClock()
    opening_clock, _ = compared(clock, database_ahead_s=3)
    clock.wall_offset = 3
    asked = clock.monotonic()
    assert not opening_clock.update(instant(clock.wall()), asked, asked)
    assert opening_clock.now() == pytest.approx(clock.true_time + 3)


@given(st.floats(min_value=0, max_value=0.999999), st.integers(min_value=0, max_value=60))
def test_the_message_rings_at_a_whole_second_and_no_later_than_the_lead(fraction: float, lead: int) -> None:
    opening = OPENING + timedelta(seconds=fraction)
    rings = not_before(opening, lead)
    assert rings == int(OPENING.timestamp()) - lead
    assert rings <= opening.timestamp() - lead


@pytest.mark.parametrize(("attempts", "longest"), [(0, 2), (1, 2), (2, 5), (3, 15), (4, 45), (9, 45)])
def test_a_released_row_waits_longer_each_time_with_full_jitter(attempts: int, longest: float) -> None:
    delays = [release_delay(attempts) for _ in range(200)]
    assert 0 <= min(delays) < longest / 4
    assert longest * 3 / 4 < max(delays) <= longest


@pytest.mark.parametrize(("parks", "about"), [(0, 15), (1, 15), (2, 45), (3, 300), (4, 300), (99, 300)])
def test_a_parked_row_is_asked_for_after_15_s_then_45_s_then_every_5_minutes_never_all_at_once(
    parks: int, about: float
) -> None:
    delays = [park_delay(parks) for _ in range(200)]
    assert about * 0.75 <= min(delays) < about * 0.85
    assert about * 1.15 < max(delays) <= about * 1.25


def timings() -> Timings:
    return Timings(available_at=100.0, delivered_at=97.0, claimed_at=97.1, clock_offset_s=0.0015)


def test_the_timings_tell_of_the_first_shot_how_late_and_of_the_last_how_long() -> None:
    told = timings()
    told.shots += [Shot(100.0012, 100.5, "too_early"), Shot(100.6, 100.85, "booked")]
    said = told.as_json()
    assert said["fire_lateness_ms"] == pytest.approx(1.2)
    assert said["response_ms"] == pytest.approx(250)
    assert said["clock_offset_ms"] == 1.5
    assert said["fired_at"] == "1970-01-01T00:01:40.001200Z"
    assert [shot["outcome"] for shot in said["shots"]] == ["too_early", "booked"]


def test_the_lateness_is_that_of_the_first_shot_though_an_earlier_claim_fired_it() -> None:
    told = timings()
    told.earlier_shots = (Shot(100.25, None, "no_answer").as_json(),)
    told.shots.append(Shot(160.0, 160.1, "booked"))
    said = told.as_json()
    assert said["fire_lateness_ms"] == pytest.approx(250)
    assert len(said["shots"]) == 2


@given(st.lists(st.integers(min_value=0, max_value=60), min_size=1, max_size=12))
def test_of_however_many_shots_few_are_kept_and_none_goes_uncounted(claims: list[int]) -> None:
    kept, fired = list[dict[str, Any]](), 0
    for number in claims:
        told = timings()
        told.earlier_shots = tuple(kept)
        told.shots += [Shot(100.0 + fired + n, 100.5 + fired + n, "too_early") for n in range(number)]
        fired += number
        kept = told.all_shots()
        assert told.as_json()["shots"] == kept
    assert len(kept) == min(fired, FIRST_SHOTS + LATEST_SHOTS)
    assert len(kept) + sum(shot.get("left_out", 0) for shot in kept) == fired
    every = [Shot(100.0 + n, 100.5 + n, "too_early").as_json() for n in range(fired)]
    told_of = [{name: value for name, value in shot.items() if name != "left_out"} for shot in kept]
    assert told_of == (every if fired <= len(kept) else [*every[:FIRST_SHOTS], *every[-LATEST_SHOTS:]])


def test_nothing_sent_means_no_lateness() -> None:
    said = timings().as_json()
    assert said["fire_lateness_ms"] is said["fired_at"] is said["answered_at"] is said["response_ms"] is None
    assert said["shots"] == []


def test_a_reading_that_came_after_lost_tries_never_makes_the_clock_run_ahead() -> None:
    clock = FakeClock()
    clock.wall_offset = -3
    opening_clock = OpeningClock(clock)
    asked = clock.monotonic()
    clock.true_time += 1.1  # the first try's answer was lost, the second came at once
    assert opening_clock.update(datetime.fromtimestamp(clock.true_time, UTC), asked, clock.monotonic())
    assert opening_clock.now() <= clock.true_time
