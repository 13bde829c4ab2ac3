"""What a create and a delivery cost, and what waiting takes in memory. `python -m tests.benchmarks.costs`"""

import asyncio
import json
import re
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

from rich.console import Console
from rich.table import Table
from tests.benchmarks.contestants import Ours
from tests.benchmarks.scene import BOX, Scene, open_scene, sleep_until, whole_second
from tests.support.percentiles import percentile

from prebooking.adapters.qstash.messages import open_messages
from prebooking.adapters.supabase.store import open_store
from prebooking.domain.prebooking import Box
from prebooking.domain.transitions import Limits
from prebooking_local.qstash.signing import DEV_TOKEN
from prebooking_local.supabase import SECRET_KEY

_OUT = Console(width=140)
_CREATES = 960
_ROUNDS = 30
_WAITING = 1000
_LEAD_S = 30
_MIB = 1024 * 1024


_Post = Callable[[str, object], Awaitable[tuple[int, bytes]]]
_Create = Callable[[int], Awaitable[None]]


async def creates(scene: Scene) -> Table:
    """A create over HTTP beside the bare cost of its two rpcs and one publish, by the same adapters."""
    stack, box = scene.stack, Box(subdomain=BOX["slug"], aimharder_id=str(BOX["boid"]))  # type: ignore[arg-type]
    limits = Limits(active=10**6, per_minute=10**6)  # which cost the same as those by default
    opens_at = datetime.now(UTC) + timedelta(days=2)
    day = f"{opens_at + timedelta(days=4):%Y%m%d}"
    async with (
        open_store(stack.supabase_url, SECRET_KEY, "bench") as store,
        open_messages(stack.qstash_url, DEV_TOKEN, public_url=stack.service_url, lead_s=3, max_duration_s=10) as qstash,
        _load_generator(stack.service_url, stack.headers(scene.people[0].member.email)) as post,
    ):

        async def over_http(i: int) -> None:
            prebooking = {
                "box_subdomain": box.subdomain,
                "box_aimharder_id": box.aimharder_id,
                "booking_data": {"day": day, "id": i},
                "available_at": opens_at.isoformat(),
            }
            status, body = await post("/prebookings", prebooking)
            assert status == 201, body

        async def bare(i: int) -> None:
            data = {"day": day, "id": str(i), "familyId": "", "insist": 0}
            created = await store.create(uuid4(), scene.people[0].member.email, box, data, opens_at, limits=limits)
            assert created.prebooking
            message_id = await qstash.publish(created.prebooking)
            await store.attach_message(created.prebooking.id, created.prebooking.version, message_id)

        table = Table(title="A create, in milliseconds")
        for name in ("in flight", "what", "p50", "p99", "a second"):
            table.add_column(name, justify="left" if name == "what" else "right")
        class_ids = iter(range(10_000_000))
        for in_flight in (1, 16):
            medians: dict[str, list[float]] = {"over HTTP": [], "its two rpcs and one publish": []}
            everything: dict[str, list[float]] = {name: [] for name in medians}
            spent = dict.fromkeys(medians, 0.0)
            for _ in range(_ROUNDS):  # in turn, so that both meet the same load of the machine
                for name, create in (("over HTTP", over_http), ("its two rpcs and one publish", bare)):
                    started = time.perf_counter()
                    took = await _timed(create, class_ids, _CREATES // _ROUNDS, in_flight)
                    spent[name] += time.perf_counter() - started
                    medians[name].append(statistics.median(took))
                    everything[name] += took
            for name, took in everything.items():
                took.sort()
                rate = f"{len(took) / spent[name]:.0f}"
                table.add_row(
                    str(in_flight), name, f"{statistics.median(took):.2f}", f"{percentile(took, 99):.2f}", rate
                )
            pairs = zip(medians["over HTTP"], medians["its two rpcs and one publish"], strict=True)
            ratio = f"[bold]{statistics.median(a / b for a, b in pairs):.2f}"
            table.add_row(str(in_flight), "[bold]ratio of the p50, median of the rounds", ratio)
        return table


@asynccontextmanager
async def _load_generator(url: str, headers: dict[str, str]) -> AsyncIterator[_Post]:
    """Posts JSON on kept connections. An HTTP client would take as long as the service takes beside its calls."""
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    host = urlsplit(url).netloc
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head += f"Host: {host}\r\nContent-Type: application/json\r\n"

    async def post(path: str, content: object) -> tuple[int, bytes]:
        while idle and idle[-1][0].at_eof():  # the server has closed it
            idle.pop()[1].close()
        reader, writer = idle.pop() if idle else await asyncio.open_connection(*host.split(":"))
        body = json.dumps(content)
        writer.write(f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", answer)
        assert length
        text = await reader.readexactly(int(length[1]))
        idle.append((reader, writer))
        return int(answer.split()[1]), text

    try:
        yield post
    finally:
        for _, writer in idle:
            writer.close()


async def _timed(create: _Create, class_ids: Iterator[int], count: int, in_flight: int) -> list[float]:
    took: list[float] = []

    async def worker() -> None:
        for _ in range(count // in_flight):
            started = time.perf_counter()
            await create(next(class_ids))
            took.append((time.perf_counter() - started) * 1000)

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return took


async def waiting(scene: Scene) -> list[str]:
    """Memory of the idle service and with a thousand at the gate; CPU of a delivery, from create to result."""
    idle = scene.service.memory_info().rss
    opens_at = whole_second(_LEAD_S + _WAITING / 80 + 2)
    before = scene.cpu_ms()
    running = asyncio.create_task(Ours(scene, _LEAD_S).run(_WAITING, opens_at))
    await sleep_until(opens_at, -0.5)
    full = scene.service.memory_info().rss
    await running
    cpu_ms = (scene.cpu_ms() - before) / _WAITING
    return [
        f"memory of the service, idle: {idle / _MIB:.0f} MiB",
        f"memory of the service, {_WAITING} waiting at the gate: {full / _MIB:.0f} MiB",
        f"CPU of the service for one prebooking, create and delivery: {cpu_ms:.1f} ms",
    ]


async def main() -> None:
    settings = {"LEAD_SECONDS": str(_LEAD_S), "MAX_DURATION_SECONDS": str(_LEAD_S + 10), "LOG_LEVEL": "WARNING"}
    async with open_scene(_WAITING, **settings) as scene:
        for line in await waiting(scene):
            _OUT.print(line)
        _OUT.print(await creates(scene))


if __name__ == "__main__":
    asyncio.run(main())
