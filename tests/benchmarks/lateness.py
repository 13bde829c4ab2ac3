"""How late do the requests arrive? `make bench`: one run, side by side, rounds interleaved.

Lateness is the gym's stamp of a request's last byte minus the opening; early is a first byte before it.
"""

import argparse
import asyncio
import random
import statistics
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from tests.benchmarks.contestants import Contestant, Floor, Ours, OursInACrowd, Round, plain_webhook_server
from tests.benchmarks.figures import keep
from tests.benchmarks.neighbours import OursBesideNeighbours, neighbourhood
from tests.benchmarks.picture import draw
from tests.benchmarks.replays import OursWithReplays
from tests.benchmarks.scene import Arrival, Scene, open_scene, whole_second
from tests.benchmarks.streams import open_streams
from tests.support.percentiles import percentile

_OUT = Console(width=160)


@dataclass(frozen=True, slots=True)
class Size:
    """How many want one opening, and what the service is told about it."""

    count: int
    rounds: int
    lead_s: int
    duration_s: int
    plain_rounds: int  #: the plain webhook takes half a minute for a thousand, and says the same each time


SIZES = (
    Size(1, 100, 3, 10, 100),
    Size(20, 12, 3, 10, 12),
    Size(30, 12, 3, 10, 12),
    Size(300, 10, 10, 18, 3),
    Size(1000, 5, 30, 40, 1),
)


@dataclass(slots=True)
class Tally:
    """All rounds of one contestant at one size."""

    contestant: str
    count: int
    late_ms: list[list[float]] = field(default_factory=list)  #: a list a round
    own_gap_ms: list[float] = field(default_factory=list)  #: the gym's median minus the contestant's own, a round
    early: int = 0
    inversions: int = 0
    lost: int = 0
    doubled: int = 0

    def take(self, round_: Round, arrivals: list[Arrival]) -> None:
        people = [arrival.person for arrival in arrivals]
        self.late_ms.append([arrival.last_byte_ms for arrival in arrivals])
        self.early += sum(arrival.first_byte_ms < 0 for arrival in arrivals)
        self.lost += self.count - len(set(people))
        self.doubled += len(people) - len(set(people))
        rank = {person: i for i, person in enumerate(round_.order)}
        self.inversions += sum(rank[a] > rank[b] for a, b in pairwise(people))
        if round_.own_ms and arrivals:
            own = statistics.median(round_.own_ms)
            self.own_gap_ms.append(statistics.median(a.last_byte_ms for a in arrivals) - own)

    def pooled(self) -> list[float]:
        return sorted(ms for one in self.late_ms for ms in one)

    def worst(self) -> list[float]:
        """The last arrival of each round."""
        return [max(one) for one in self.late_ms if one]


@dataclass(frozen=True, slots=True)
class Company:
    """What else goes on meanwhile."""

    qstash: dict[str, Any]
    crowd: int
    streams: int
    neighbours: bool
    idle_timeout_s: float
    replay: int


def _others(scene: Scene, size: Size, company: Company, webhook: Contestant) -> list[Contestant]:
    """What the floor and we are compared with."""
    if company.crowd:
        return [OursInACrowd(scene, size.lead_s, company.crowd)]
    if company.neighbours:
        return [OursBesideNeighbours(scene, size.lead_s)]
    if company.replay:
        return [OursWithReplays(scene, size.lead_s, company.replay)]
    return [] if company.qstash.get("down") else [webhook]  # where it would wait for ever


async def measure(size: Size, progress: Progress, company: Company) -> list[Tally]:
    crowd, level = company.crowd, "ERROR" if company.neighbours else "WARNING"
    settings = {"LEAD_SECONDS": str(size.lead_s), "MAX_DURATION_SECONDS": str(size.duration_s), "LOG_LEVEL": level}
    async with (
        open_scene(max(size.count, crowd), **settings) as scene,
        plain_webhook_server(scene) as webhook,
        open_streams(scene, company.streams),
        neighbourhood(scene) if company.neighbours else nullcontext(),
    ):
        if company.qstash:
            await scene.stack.control(scene.stack.qstash_url, "faults", company.qstash)
        if company.idle_timeout_s:
            await scene.hang_up_on_idle(company.idle_timeout_s)
        contestants: list[Contestant] = [Floor(scene), Ours(scene, size.lead_s)]
        contestants += _others(scene, size, company, webhook)
        tallies = {c.name: Tally(c.name, size.count) for c in contestants}
        for contestant in contestants:  # to warm up
            await contestant.run(min(size.count, 5), whole_second(contestant.ahead_s(5)))
        task = progress.add_task(
            f"N = {size.count}", total=sum(size.plain_rounds if c is webhook else size.rounds for c in contestants)
        )

        async def one(contestant: Contestant, opens_at: datetime) -> None:
            round_ = await contestant.run(size.count, opens_at)
            tallies[contestant.name].take(round_, await scene.arrivals(opens_at, round_.class_id))
            progress.advance(task)

        if (
            size.count == 1 and not crowd and not company.neighbours
        ):  # openings of one second each, in turn: a hundred would take long one after another
            first = whole_second(max(c.ahead_s(1) for c in contestants))
            openings = [
                (contestant, first + timedelta(seconds=len(contestants) * i + turn))
                for i in range(size.rounds)
                for turn, contestant in enumerate(contestants)
            ]
            await asyncio.gather(*(one(contestant, opens_at) for contestant, opens_at in openings))
        else:
            for number in range(size.rounds):
                taking_part = [c for c in contestants if c is not webhook or number < size.plain_rounds]
                for contestant in random.sample(taking_part, len(taking_part)):
                    await scene.forget()
                    await one(contestant, whole_second(contestant.ahead_s(size.count)))
        return list(tallies.values())


def table(tallies: list[Tally]) -> Table:
    shown = Table(title="Milliseconds after the opening, at the gym (last byte in hand)")
    for name in ("N", "contestant", "rounds", "min", "p50", "p95", "p99", "max", "last ÷ floor's", "own word off by"):
        shown.add_column(name, justify="left" if name == "contestant" else "right")
    for name in ("early", "inversions", "lost", "doubled"):
        shown.add_column(name, justify="right")
    floors = {t.count: t for t in tallies if t.contestant == Floor.name}
    for tally in tallies:
        pooled = tally.pooled()
        figures = [f"{percentile(pooled, p):.2f}" for p in (0, 50, 95, 99, 100)] if pooled else ["-"] * 5
        ratios = [a / b for a, b in zip(tally.worst(), floors[tally.count].worst(), strict=False)]
        shown.add_row(
            str(tally.count),
            tally.contestant,
            str(len(tally.late_ms)),
            *figures,
            f"{statistics.median(ratios):.2f}" if ratios else "-",
            f"{statistics.median(tally.own_gap_ms):.2f}" if tally.own_gap_ms else "-",
            *(str(n) for n in (tally.early, tally.inversions, tally.lost, tally.doubled)),
        )
    return shown


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    sizes = [size.count for size in SIZES]
    options.add_argument("--n", type=int, nargs="*", choices=sizes, help="only these sizes (default: 1 30 300 1000)")
    options.add_argument("--rounds", type=int, help="openings of each size")
    options.add_argument("--lead", type=int, help="LEAD_SECONDS, such as 60")
    options.add_argument("--deliver-late", type=float, default=0.0, help="QStash delivers so many seconds late")
    options.add_argument("--qstash-down", action="store_true", help="QStash takes orders and delivers nothing")
    options.add_argument("--crowd", type=int, default=0, help="others' deliveries that arrive in the last second")
    options.add_argument(
        "--streams", type=int, default=0, help="so many pages follow the members' prebookings meanwhile"
    )
    options.add_argument(
        "--idle-timeout", type=float, default=0.0, help="the gym closes who is idle for so many seconds"
    )
    options.add_argument(
        "--neighbours", action="store_true", help="20 members, and neighbours whose gyms are silent or can't be found"
    )
    options.add_argument(
        "--replay", type=int, default=0, metavar="ROWS", help="20 members, while streams ask for so many missed rows"
    )
    chosen = options.parse_args()
    if not chosen.n:
        chosen.n = [20] if chosen.neighbours or chosen.replay else [1, 30, 300, 1000]
    variant = {"shift_s": chosen.deliver_late} if chosen.deliver_late else {"down": True} if chosen.qstash_down else {}
    company = Company(variant, chosen.crowd, chosen.streams, chosen.neighbours, chosen.idle_timeout, chosen.replay)
    tallies: list[Tally] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    try:
        with Progress(*columns, TimeElapsedColumn(), console=_OUT) as progress:
            for size in SIZES:
                if size.count not in chosen.n:
                    continue
                lead = chosen.lead or size.lead_s
                rounds = chosen.rounds or size.rounds
                duration = max(size.duration_s, lead + 10)
                fitted = Size(size.count, rounds, lead, duration, min(rounds, size.plain_rounds))
                tallies += await measure(fitted, progress, company)
    finally:
        _report(tallies)  # also what was measured before a size that failed


def _report(tallies: list[Tally]) -> None:
    _OUT.print(table(tallies))
    keep("lateness", tallies, partial(draw, tallies), _OUT)


if __name__ == "__main__":
    asyncio.run(main())
