"""What capacity.py has measured of each crowd, and how many of them were in time."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from rich.table import Table
from tests.benchmarks.alone import Bare

IN_TIME_MS = 60.0


@dataclass(slots=True)
class Crowd:
    """One size of one contestant, all rounds."""

    contestant: str
    lead_s: int  #: 0 where the lead changes nothing
    count: int
    start_s: float  #: from the start of the service's process to its readiness
    twice: bool = False  #: twice as many as were in time
    last_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    first_half_ms: list[float] = field(default_factory=list)  #: the last of those who asked first
    missing: int = 0
    create_cpu_ms: list[float] = field(default_factory=list)
    delivery_cpu_ms: list[float] = field(default_factory=list)

    @property
    def last(self) -> float:
        return statistics.median(self.last_ms)

    @property
    def first_half(self) -> float:
        return statistics.median(self.first_half_ms)

    @property
    def in_time(self) -> bool:
        return not self.missing and self.last <= IN_TIME_MS

    def cpu(self) -> tuple[str, str]:
        """What a create and a delivery cost the service, in ms. The floor has none."""
        if self.contestant == Bare.name:
            return "-", "-"
        return f"{statistics.median(self.create_cpu_ms):.1f}", f"{statistics.median(self.delivery_cpu_ms):.1f}"


def most_in_time(crowds: Iterable[Crowd]) -> Crowd | None:
    return max((crowd for crowd in crowds if crowd.in_time), key=lambda crowd: crowd.count, default=None)


def table(crowds: list[Crowd]) -> Table:
    shown = _table("Milliseconds after the opening, at the gym (last byte in hand); medians of the rounds")
    for name in ("p99", "last", "last of the first half", "missing", "CPU ms a create", "a delivery"):
        shown.add_column(name, justify="right")
    for crowd in sorted(crowds, key=lambda crowd: (crowd.lead_s, crowd.count)):
        shown.add_row(
            *_who(crowd),
            f"{crowd.count} = 2N" if crowd.twice else str(crowd.count),
            *(f"{ms:.1f}" for ms in (statistics.median(crowd.p99_ms), crowd.last, crowd.first_half)),
            str(crowd.missing),
            *crowd.cpu(),
        )
    return shown


def summary(crowds: list[Crowd]) -> Table:
    """One row a contestant and lead."""
    shown = _table(f"N: the largest crowd whose last request was within {IN_TIME_MS:.0f} ms")
    for name in ("its last", "last of 2N's first half", "CPU ms a create", "a delivery", "start, s"):
        shown.add_column(name, justify="right")
    for (_, contestant), group in groupby(crowds, key=lambda crowd: (crowd.lead_s, crowd.contestant)):
        mine = list(group)
        most = most_in_time(crowd for crowd in mine if not crowd.twice)
        shown.add_row(
            *_who(mine[0]),
            _n(mine, most),
            f"{most.last:.1f}" if most else "-",
            next((f"{crowd.first_half:.1f}" for crowd in mine if crowd.twice), "-"),
            *(most or mine[0]).cpu(),
            "-" if contestant == Bare.name else f"{mine[0].start_s:.2f}",
        )
    return shown


def _n(crowds: list[Crowd], most: Crowd | None) -> str:
    if most is None:
        return f"< {crowds[0].count}"
    found = any(crowd.count > most.count and not crowd.in_time for crowd in crowds)
    return f"{most.count}" if found else f"≥ {most.count}"


def _who(crowd: Crowd) -> tuple[str, str]:
    return f"{crowd.lead_s} s" if crowd.lead_s else "-", crowd.contestant


def _table(title: str) -> Table:
    shown = Table(title=title)
    shown.add_column("lead", justify="right")
    shown.add_column("contestant")
    shown.add_column("N", justify="right")
    return shown
