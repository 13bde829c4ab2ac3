"""An opening for which more is planned than can be made ready is told of once, by a pace that is measured."""

from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs
from tests.support.fake_clock import FakeClock

from prebooking.adapters.prometheus import PrometheusMetrics
from prebooking.usecases.booking import crowds
from prebooking.usecases.booking.crowds import CrowdWatch, Pace

LEAD_S = 3.0
OPENING = datetime(2030, 1, 1, 7, tzinfo=UTC)


class Cpu:
    spent_s = 0.0

    def __call__(self) -> float:
        return self.spent_s


def prepared(pace: Pace, cpu: Cpu, many: int, each_s: float) -> None:
    """So many executions are made ready at once."""
    with ExitStack() as stack:
        for _ in range(many):
            stack.enter_context(pace.preparing())
        cpu.spent_s += many * each_s


def test_the_pace_is_that_of_what_was_made_ready_together() -> None:
    cpu = Cpu()
    pace = Pace(cpu)
    presumed = pace.ready_within(LEAD_S)
    for _ in range(8):
        prepared(pace, cpu, 100, 0.010)
    assert abs(pace.cpu_s - 0.010) < 0.0001
    assert pace.ready_within(LEAD_S) == 150
    assert presumed == 300
    assert pace.ready_within(2 * LEAD_S) == 2 * pace.ready_within(LEAD_S)


def test_a_few_say_nothing_of_a_crowd_and_one_that_fails_counts() -> None:
    cpu = Cpu()
    pace = Pace(cpu)
    prepared(pace, cpu, 5, 0.100)
    assert pace.ready_within(LEAD_S) == 300
    with suppress(OSError), pace.preparing():
        prepared(pace, cpu, 100, 0.010)
        raise OSError
    assert pace.ready_within(LEAD_S) < 300


def watch(clock: FakeClock) -> tuple[CrowdWatch, PrometheusMetrics]:
    metrics = PrometheusMetrics()
    return CrowdWatch(Pace(Cpu()), clock, metrics, lead_s=LEAD_S), metrics


def test_one_too_many_is_told_of_as_it_is_scheduled_and_once_an_opening() -> None:
    watching, metrics = watch(FakeClock())
    with capture_logs() as lines:
        for _ in range(300):
            watching.scheduled(OPENING)
            watching.scheduled(OPENING + timedelta(seconds=1))
        assert lines == []
        for _ in range(50):
            watching.scheduled(OPENING)
    (line,) = lines
    assert (line["event"], line["planned"], line["ready_in_time"]) == ("opening_crowded", 301, 300)
    assert "LEAD_SECONDS" in line["advice"]
    assert "2030-01-01T07:00:00" in line["opening"]
    assert b"prebooking_crowded_openings_total 1.0" in metrics.exposition()[0]


def test_what_is_counted_stays_small() -> None:
    clock = FakeClock()
    watching, _ = watch(clock)
    for second in range(3 * crowds._MOST_OPENINGS):
        watching.scheduled(OPENING + timedelta(seconds=second))
        assert len(watching._planned) <= crowds._MOST_OPENINGS
