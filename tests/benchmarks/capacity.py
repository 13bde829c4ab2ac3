"""How many can want one opening? `python -m tests.benchmarks.capacity`

The crowd grows until its last request is more than 60 ms late; the service beside one that does only the least that has
to be done (null_service.py), each on its own, on the same cores. And what a prebooking costs the service's CPU.
"""

import argparse
import asyncio
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import psutil
from qstash import AsyncQStash
from rich.console import Console
from rich.table import Table
from tests.benchmarks.contestants import Ours, Round
from tests.benchmarks.lateness import RESULTS, percentile
from tests.benchmarks.picture import draw_capacity
from tests.benchmarks.scene import BOX, Cores, Scene, open_scene, sleep_until, whole_second

from prebooking_local.qstash.signing import DEV_TOKEN

_OUT = Console(width=160)
IN_TIME_MS = 60.0
_HOPELESS_MS = 1500.0  # nothing is learnt from a larger crowd
_SIZES = (100, 200, 300, 450, 600, 800, 1000)
_REGIMES = ((3, 10), (10, 18))  # the lead and the platform's limit, in seconds
_AHEAD_S = 2.0
_LATE_S, _LOOK_S = 30, 3  # for those who come late; seconds
_IN_FLIGHT = 16


class Null:
    """Rows by the same SQL, and messages by the same QStash; the service is null_service.py."""

    name = "null service"
    program = "null_service.py"

    def __init__(self, scene: Scene, lead_s: float) -> None:
        self._scene = scene
        self._lead_s = lead_s
        self._qstash = AsyncQStash(DEV_TOKEN, base_url=scene.stack.qstash_url)

    def ahead_s(self, count: int) -> float:
        return self._lead_s + _AHEAD_S + count / 80

    async def run(self, count: int, opens_at: datetime) -> Round:
        class_id, day = await self._scene.announce(opens_at)
        line = asyncio.Semaphore(_IN_FLIGHT)
        pool = await asyncpg.create_pool(self._scene.stack.database_url, min_size=1, max_size=4)

        async def create(person: int) -> None:
            async with line:
                email = self._scene.people[person].member.email
                data = {"day": day, "id": str(class_id), "familyId": "", "insist": 0}
                answer = await pool.fetchval(
                    "select public.create_prebooking($1, $2, $3, $4, $5, $6)",
                    *(uuid4(), email, BOX["slug"], str(BOX["boid"]), json.dumps(data), opens_at),
                )
                row = json.loads(answer)["prebooking"]
                message = {"prebooking_id": row["id"], "version": row["version"], "opening": opens_at.timestamp()}
                await self._qstash.message.publish_json(
                    url=f"{self._scene.stack.service_url}/execute",
                    body=message,
                    not_before=int(opens_at.timestamp() - self._lead_s),
                    retries=0,
                )

        await asyncio.gather(*(create(i) for i in range(count)))
        await pool.close()
        await sleep_until(opens_at, 1.5 + count / 100)
        return Round(class_id, list(range(count)))


class Service(Ours):
    program = "named_service.py"


@dataclass(slots=True)
class Measured:
    """One size of one contestant, all rounds."""

    contestant: str
    lead_s: int
    count: int
    last_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    first_half_ms: list[float] = field(default_factory=list)  #: the last of those who asked first
    missing: int = 0
    create_cpu_ms: list[float] = field(default_factory=list)
    delivery_cpu_ms: list[float] = field(default_factory=list)

    @property
    def last(self) -> float:
        return statistics.median(self.last_ms)


async def measure(
    contestant: type[Null] | type[Service],
    lead_s: int,
    limit_s: int,
    sizes: tuple[int, ...],
    rounds: int,
    cores: Cores,
) -> tuple[list[Measured], float]:
    """Returns a row a size, up to the first that is hopeless, and the seconds that the service took to start."""
    settings = {"LEAD_SECONDS": str(lead_s), "MAX_DURATION_SECONDS": str(limit_s), "LOG_LEVEL": "ERROR"}
    found = []
    async with open_scene(max(sizes), contestant.program, cores, **settings) as scene:
        one = contestant(scene, lead_s)
        cpu = _cpu_of(scene)
        await one.run(5, whole_second(one.ahead_s(5)))
        for count in sizes:
            measured = Measured(one.name, lead_s, count)
            for _ in range(rounds):
                await scene.forget()
                await _round(scene, one, measured, cpu)
            found.append(measured)
            _OUT.print(f"{one.name}, lead {lead_s} s, {count}: the last {measured.last:.1f} ms late", highlight=False)
            if measured.last > _HOPELESS_MS:
                break
        return found, scene.start_s


async def _round(scene: Scene, one: Null | Service, measured: Measured, cpu: Callable[[], float]) -> None:
    count, opens_at = measured.count, whole_second(one.ahead_s(measured.count))
    before = cpu()
    running = asyncio.create_task(one.run(count, opens_at))
    await sleep_until(opens_at, -measured.lead_s - 0.2)
    created = cpu()
    round_ = await running
    arrivals = await scene.arrivals(opens_at, round_.class_id)
    waited_s = 0
    while len({arrival.person for arrival in arrivals}) < count and waited_s < _LATE_S:
        await asyncio.sleep(_LOOK_S)
        waited_s += _LOOK_S
        arrivals = await scene.arrivals(opens_at, round_.class_id)
    ended = cpu()
    late = sorted(arrival.last_byte_ms for arrival in arrivals)
    first_half = set(round_.order[: count // 2])
    measured.missing += count - len({arrival.person for arrival in arrivals})
    measured.last_ms.append(late[-1])
    measured.p99_ms.append(percentile(late, 99))
    measured.first_half_ms.append(max(a.last_byte_ms for a in arrivals if a.person in first_half))
    measured.create_cpu_ms.append((created - before) / count)
    measured.delivery_cpu_ms.append((ended - created) / count)


def _cpu_of(scene: Scene) -> Callable[[], float]:
    (service,) = psutil.Process(scene.stack.processes["service"].pid).children()

    def cpu_ms() -> float:
        times = service.cpu_times()
        return float(times.user + times.system) * 1000

    return cpu_ms


def table(rows: list[Measured]) -> Table:
    shown = Table(title="Milliseconds after the opening, at the gym (last byte in hand); medians of the rounds")
    for name in ("lead", "N", "contestant", "p99", "last", "last of the first half", "missing"):
        shown.add_column(name, justify="left" if name == "contestant" else "right")
    for name in ("CPU ms a create", "a delivery"):
        shown.add_column(name, justify="right")
    for row in rows:
        shown.add_row(
            *(f"{row.lead_s} s", str(row.count), row.contestant),
            *(f"{statistics.median(of):.1f}" for of in (row.p99_ms, row.last_ms, row.first_half_ms)),
            str(row.missing),
            *(f"{statistics.median(of):.1f}" for of in (row.create_cpu_ms, row.delivery_cpu_ms)),
        )
    return shown


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="*", default=list(_SIZES), help="the crowds, the smallest first")
    parser.add_argument("--lead", type=int, nargs="*", default=[lead for lead, _ in _REGIMES])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--shared", dest="cores", action="store_const", const="shared", default="apart")
    options = parser.parse_args()
    rows: list[Measured] = []
    try:
        for lead_s, limit_s in _REGIMES:
            if lead_s not in options.lead:
                continue
            for contestant in (Null, Service):
                found, start_s = await measure(
                    contestant, lead_s, limit_s, tuple(options.n), options.rounds, options.cores
                )
                rows += found
                most = max((row.count for row in found if row.last <= IN_TIME_MS), default=0)
                name = found[0].contestant
                _OUT.print(
                    f"{name}, lead {lead_s} s: {most} in time; ready {start_s:.2f} s after its start", style="bold"
                )
    finally:
        _report(rows)


def _report(rows: list[Measured]) -> None:
    _OUT.print(table(rows))
    RESULTS.mkdir(exist_ok=True)
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    (RESULTS / f"capacity-{stamp}.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
    draw_capacity(rows, IN_TIME_MS, RESULTS / f"capacity-{stamp}.svg")
    _OUT.print(f"Kept in {RESULTS}/capacity-{stamp}.json and .svg")


if __name__ == "__main__":
    asyncio.run(main())
