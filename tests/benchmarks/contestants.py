"""Who fires how late: each contestant has the first `count` people booked into a class that opens at `opens_at`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import httpx
from qstash import AsyncQStash
from tests.benchmarks.floor import floor
from tests.benchmarks.scene import BOX, Scene, side_by_side, sleep_until

from prebooking_local.qstash.signing import DEV_TOKEN
from prebooking_local.serving import free_port
from prebooking_local.stack import service

_TRIES = 3
_SETTLE_S = 1.5


@dataclass(slots=True)
class Round:
    """One opening."""

    class_id: int
    order: list[int]  #: people in the order in which they asked
    own_ms: list[float] = field(default_factory=list)  #: the contestant's own word on its lateness


class Contestant(Protocol):
    name: str

    def ahead_s(self, count: int) -> float:
        """How long before the opening it wants to be told."""
        ...

    async def run(self, count: int, opens_at: datetime) -> Round: ...


class Floor:
    name = "floor: bare prepared sockets"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def ahead_s(self, count: int) -> float:
        return 0.5 + count / 400  # less than the idle time-out of a gym that hangs up soon

    async def run(self, count: int, opens_at: datetime) -> Round:
        class_id, day = await self._scene.announce(opens_at)
        await sleep_until(opens_at, -self.ahead_s(count))
        own_ms = await floor(self._scene, opens_at, class_id, day, count)
        return Round(class_id, list(range(count)), own_ms)


class Ours:
    """The full path: HTTP create → QStash → service → box."""

    name = "prebooking"

    def __init__(self, scene: Scene, lead_s: float) -> None:
        self._scene = scene
        self._lead_s = lead_s

    def ahead_s(self, count: int) -> float:
        return self._lead_s + 1.0 + count / 80

    async def run(self, count: int, opens_at: datetime) -> Round:
        class_id, created = await self.create_all(count, opens_at)
        await sleep_until(opens_at, _SETTLE_S + count / 200)
        asked = sorted(range(count), key=lambda i: (created[i]["created_at"], created[i]["id"]))
        return Round(class_id, asked, await self._own_word(class_id))

    async def create_all(self, count: int, opens_at: datetime) -> tuple[int, list[dict[str, Any]]]:
        """The first `count` people ask for a new class; its id, and their rows."""
        class_id, day = await self.announce(opens_at)
        wish = {
            "box_subdomain": BOX["slug"],
            "box_aimharder_id": BOX["boid"],
            **self.class_wished(class_id, day),
            "available_at": opens_at.isoformat(),
        }
        return class_id, await side_by_side(count, lambda person: self._create(person, wish))

    async def announce(self, opens_at: datetime) -> tuple[int, str]:
        """Puts the class up; its id and day."""
        return await self._scene.announce(opens_at)

    def class_wished(self, class_id: int, day: str) -> dict[str, Any]:
        return {"booking_data": {"day": day, "id": class_id}}

    async def _create(self, person: int, wish: dict[str, Any]) -> dict[str, Any]:
        stack = self._scene.stack
        headers = stack.headers(self._scene.people[person].member.email) | {"Idempotency-Key": uuid4().hex}
        for _ in range(_TRIES):  # as any client does: a database that is busy with a thousand creates may refuse one
            answer = await stack.http.post(f"{stack.service_url}/prebookings", headers=headers, json=wish)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
        answer.raise_for_status()
        row: dict[str, Any] = answer.json()
        return row

    async def _own_word(self, class_id: int) -> list[float]:
        async with self._scene.stack.database() as connection:
            rows = await connection.fetch(
                "select (result -> 'timings' ->> 'fire_lateness_ms')::float as ms from public.prebookings"
                " where booking_data ->> 'id' = $1 and status = 'completed'",
                str(class_id),
            )
        return [row["ms"] for row in rows]


class OursInACrowd(Ours):
    """The deliveries of others, for an opening that comes later, all arrive in the last second before this one."""

    def __init__(self, scene: Scene, lead_s: float, crowd: int) -> None:
        super().__init__(scene, lead_s)
        self.name = f"prebooking, {crowd} others arriving"
        self._crowd = crowd

    def ahead_s(self, count: int) -> float:
        return super().ahead_s(0) + (count + self._crowd) / 15  # on a machine that is slow today, too

    async def run(self, count: int, opens_at: datetime) -> Round:
        theirs = opens_at + timedelta(seconds=self._lead_s - 1)
        await self.create_all(self._crowd, theirs)
        round_ = await super().run(count, opens_at)
        await sleep_until(theirs, _SETTLE_S + self._crowd / 100)
        return round_


class PlainWebhook:
    name = "plain webhook, no lead"

    def __init__(self, scene: Scene, url: str) -> None:
        self._scene = scene
        self._url = url
        self._qstash = AsyncQStash(DEV_TOKEN, base_url=scene.stack.qstash_url)

    def ahead_s(self, count: int) -> float:
        return 2.0 + count / 80

    async def run(self, count: int, opens_at: datetime) -> Round:
        class_id, day = await self._scene.announce(opens_at)
        first_id = class_id * len(self._scene.people)
        async with self._scene.stack.database() as connection:
            rows = [(first_id + i, self._scene.people[i].member.email, str(class_id), day) for i in range(count)]
            await connection.executemany("insert into plain (id, email, class_id, day) values ($1, $2, $3, $4)", rows)

        async def publish(person: int) -> None:
            await self._qstash.message.publish_json(
                url=self._url, body={"id": first_id + person}, not_before=int(opens_at.timestamp()), retries=0
            )

        await side_by_side(count, publish)
        await sleep_until(opens_at, _SETTLE_S + count / 25)
        return Round(class_id, list(range(count)))


@asynccontextmanager
async def plain_webhook_server(scene: Scene) -> AsyncIterator[PlainWebhook]:
    port = free_port()
    its_own = {"PORT": str(port), "AIMHARDER_BOX_URL": f"{scene.stack.aimharder_url}/{{box}}"}
    beside = replace(
        scene.stack,
        service_url=f"http://127.0.0.1:{port}",
        environment=scene.stack.environment | its_own,
        processes={},
    )
    async with service(beside, str(Path(__file__).with_name("plain_webhook.py"))):
        yield PlainWebhook(scene, f"{beside.service_url}/hook")
