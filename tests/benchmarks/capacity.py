"""How many can want one opening? `python -m tests.benchmarks.capacity`

The crowd grows until its last request is more than 60 ms late; the service beside the floor, a plain webhook and one
that does only the least that has to be done (null_service.py), each alone, on the same cores. Then twice as many as
were in time, and what a prebooking costs the service's CPU.
"""

import argparse
import asyncio
import math
from contextlib import ExitStack
from functools import partial

from rich.console import Console
from tests.benchmarks.alone import Bare, Entrant, Null, Service, Webhook
from tests.benchmarks.crowds import IN_TIME_MS, Crowd, most_in_time, summary, table
from tests.benchmarks.earlier import earlier_service
from tests.benchmarks.figures import keep
from tests.benchmarks.picture import draw_capacity
from tests.benchmarks.scene import Cores, Scene, open_scene, sleep_until, whole_second
from tests.support.percentiles import percentile

_OUT = Console(width=160)
_HOPELESS_MS = 1500.0  # nothing is learnt from a larger crowd
_LIMITS = {0: 10, 3: 10, 10: 18}  # the platform's limit by the lead, in seconds; 0: the lead changes nothing
_SIZES = {0: (300, 600, 1000), 3: (200, 300, 450, 600), 10: (600, 1000)}
_LATE_S, _LOOK_S = 30, 3  # for those who come late; seconds


async def measure(contestant: Entrant, lead_s: int, sizes: tuple[int, ...], rounds: int, cores: Cores) -> list[Crowd]:
    """Returns a crowd a size, up to the first that is hopeless; of the service also twice as many as were in time."""
    settings = {"LEAD_SECONDS": str(lead_s), "MAX_DURATION_SECONDS": str(_LIMITS[lead_s]), "LOG_LEVEL": "ERROR"}
    settings |= contestant.settings
    doubled = issubclass(contestant, Service)
    people = max(sizes) * (2 if doubled else 1)
    found: list[Crowd] = []
    async with open_scene(people, contestant.program, cores, contestant.gym, **settings) as scene:
        one = contestant(scene, lead_s)
        await one.run(min(5, people), whole_second(one.ahead_s(5)))

        async def measure_one(count: int) -> Crowd:
            crowd = Crowd(one.name, lead_s, count, scene.start_s)
            for _ in range(rounds):
                await scene.forget()
                await _round(scene, one, crowd)
            found.append(crowd)
            lead = f", lead {lead_s} s" if lead_s else ""
            _OUT.print(f"{one.name}{lead}, {count}: the last {crowd.last:.1f} ms late", highlight=False)
            return crowd

        for count in sizes:
            if (await measure_one(count)).last > _HOPELESS_MS:
                break
        most = most_in_time(found)
        if most and doubled:
            measured = {crowd.count: crowd for crowd in found}
            (measured.get(2 * most.count) or await measure_one(2 * most.count)).twice = True
        return found


async def _round(scene: Scene, one: Bare | Webhook | Null | Service, crowd: Crowd) -> None:
    count, opens_at = crowd.count, whole_second(one.ahead_s(crowd.count))
    before = scene.cpu_ms()
    running = asyncio.create_task(one.run(count, opens_at))
    await sleep_until(opens_at, -crowd.lead_s - 0.2)
    created = scene.cpu_ms()
    round_ = await running
    arrivals = await scene.arrivals(opens_at, round_.class_id)
    waited_s = 0
    while len({arrival.person for arrival in arrivals}) < count and waited_s < _LATE_S:
        await asyncio.sleep(_LOOK_S)
        waited_s += _LOOK_S
        arrivals = await scene.arrivals(opens_at, round_.class_id)
    ended = scene.cpu_ms()
    late = sorted(arrival.last_byte_ms for arrival in arrivals) or [math.inf]
    first_half = set(round_.order[: -(-count // 2)])
    late_of_first_half = [arrival.last_byte_ms for arrival in arrivals if arrival.person in first_half]
    crowd.missing += count - len({arrival.person for arrival in arrivals})
    crowd.last_ms.append(late[-1])
    crowd.p99_ms.append(percentile(late, 99))
    crowd.first_half_ms.append(max(late_of_first_half, default=math.inf))
    crowd.create_cpu_ms.append((created - before) / count)
    crowd.delivery_cpu_ms.append((ended - created) / count)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", help=f"the crowds, the smallest first (by lead: {_SIZES})")
    parser.add_argument("--lead", type=int, nargs="+", choices=[3, 10], default=[3, 10], help="in seconds")
    parser.add_argument("--rounds", type=int, default=1, help="openings of each size")
    parser.add_argument("--shared", dest="cores", action="store_const", const="shared", default="apart")
    parser.add_argument("--before", metavar="REVISION", help="the service of this earlier commit, too")
    options = parser.parse_args()
    crowds: list[Crowd] = []
    with ExitStack() as stack:
        services: list[Entrant] = [Null, Service]
        if options.before:
            services.insert(1, stack.enter_context(earlier_service(options.before)))
        plan: list[tuple[Entrant, int]] = [(Bare, 0), (Webhook, 0)]
        plan += [(one, lead_s) for lead_s in options.lead for one in services]
        try:
            for contestant, lead_s in plan:
                sizes = contestant.sizes or tuple(options.n or _SIZES[lead_s])
                crowds += await measure(contestant, lead_s, sizes, options.rounds, options.cores)
        finally:
            _report(crowds)


def _report(crowds: list[Crowd]) -> None:
    _OUT.print(table(crowds))
    _OUT.print(summary(crowds))
    keep("capacity", crowds, partial(draw_capacity, crowds, IN_TIME_MS), _OUT)


if __name__ == "__main__":
    asyncio.run(main())
