"""How many executions this process can make ready for one opening, and the openings for which more are planned."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog

from prebooking.domain.pace import PRESUMED_CPU_S, ready_within
from prebooking.domain.ports import Clock, Metrics

_log = structlog.get_logger()

_MEASURED_FROM = 20  # executions at once: of fewer, other work of the process is too large a part
_WEIGHT = 0.5  # of the latest measurement
_MOST_OPENINGS = 10_000


class Pace:
    """The CPU time that making an execution ready takes this process, measured whenever many are made ready at once."""

    def __init__(self, cpu_time: Callable[[], float] = time.process_time) -> None:
        self._cpu_time = cpu_time
        self._active = self._done = 0
        self._began = 0.0
        self.cpu_s = PRESUMED_CPU_S  #: of one execution

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Around the preparation of one execution."""
        if not self._active:
            self._began, self._done = self._cpu_time(), 0
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1
            self._done += 1
            if not self._active and self._done >= _MEASURED_FROM:
                measured = (self._cpu_time() - self._began) / self._done
                self.cpu_s += _WEIGHT * (measured - self.cpu_s)

    def ready_within(self, lead_s: float) -> int:
        """Returns how many executions are made ready within the lead."""
        return ready_within(lead_s, self.cpu_s)


class CrowdWatch:
    """Counts what this replica schedules for each opening. Tells once of an opening that has too many for its lead."""

    def __init__(self, pace: Pace, clock: Clock, metrics: Metrics, *, lead_s: float) -> None:
        self._pace = pace
        self._clock = clock
        self._metrics = metrics
        self._lead_s = lead_s
        self._planned: Counter[datetime] = Counter()
        self._told: set[datetime] = set()

    def scheduled(self, opening: datetime) -> None:
        """Counts a prebooking that was scheduled for this opening."""
        if opening not in self._planned and len(self._planned) >= _MOST_OPENINGS:
            self._forget_past()
        self._planned[opening] += 1
        planned, ready = self._planned[opening], self._pace.ready_within(self._lead_s)
        if planned <= ready or opening in self._told:
            return
        self._told.add(opening)
        self._metrics.count_crowded_opening()
        _log.warning(
            "opening_crowded",
            opening=opening.isoformat(),
            planned=planned,
            ready_in_time=ready,
            advice="raise LEAD_SECONDS and MAX_DURATION_SECONDS, or run more replicas",
        )

    def _forget_past(self) -> None:
        now = self._clock.wall()
        ahead = {opening: count for opening, count in self._planned.items() if opening.timestamp() > now}
        self._planned = Counter(dict(sorted(ahead.items())[: _MOST_OPENINGS // 2]))
        self._told &= set(self._planned)
