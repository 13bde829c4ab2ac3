"""The contestants of capacity.py: each runs alone, on a stack of its own."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import uuid4

import asyncpg
from qstash import AsyncQStash
from tests.benchmarks.contestants import Floor, Ours, PlainWebhook, Round
from tests.benchmarks.scene import BOX, Gym, Scene, side_by_side, sleep_until

from prebooking_local.qstash.signing import DEV_TOKEN

_AHEAD_S = 2.0


class Alone:
    """What a contestant's service needs."""

    program: str  #: a file of this folder
    gym: ClassVar[Gym] = "named"  #: how it finds the gym
    settings: ClassVar[Mapping[str, str]] = {}  #: more of its environment
    sizes: ClassVar[tuple[int, ...]] = ()  #: the crowds, where the others' would be too large


class Bare(Floor, Alone):
    program = "null_service.py"  # which stands idle

    def __init__(self, scene: Scene, _lead_s: float) -> None:
        super().__init__(scene)


class Webhook(PlainWebhook, Alone):
    program = "plain_webhook.py"
    gym: ClassVar[Gym] = "address"
    sizes = (1, 2, 3, 5, 10, 30)

    def __init__(self, scene: Scene, _lead_s: float) -> None:
        super().__init__(scene, f"{scene.stack.service_url}/hook")


class Service(Ours, Alone):
    program = "named_service.py"

    async def create_all(self, count: int, opens_at: datetime) -> tuple[int, list[dict[str, Any]]]:
        made = await super().create_all(count, opens_at)
        spent_s = (datetime.now(UTC) - opens_at).total_seconds() + self._lead_s
        if spent_s > 0:  # on a busy machine: they took from the time for making ready
            print(f"{self.name}, {count}: the last was created {spent_s:.1f} s after the first delivery was due")  # noqa: T201
        return made


class Null(Alone):
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
        pool = await asyncpg.create_pool(self._scene.stack.database_url, min_size=1, max_size=4)

        async def create(person: int) -> None:
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

        await side_by_side(count, create)
        await pool.close()
        await sleep_until(opens_at, 1.5 + count / 100)
        return Round(class_id, list(range(count)))


Entrant = type[Bare] | type[Webhook] | type[Null] | type[Service]
