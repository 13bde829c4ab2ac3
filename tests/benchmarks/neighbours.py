"""Twenty members of a healthy gym, and neighbours that have nothing but trouble. What do the twenty feel of it?

500 rows of a gym that is silent wait to be settled; 105 rows (7 users, 15 classes each) want a box that does not
connect; 50 rows want boxes whose names don't resolve. All of them are due at the opening of the twenty.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.benchmarks.contestants import Ours, Round
from tests.benchmarks.scene import Scene, side_by_side, sleep_until
from tests.support.named_gym import ZONE

from prebooking_local.stack import Member

SILENT, DEAF, LOST = {"slug": "silentgym", "boid": 8}, "deafbox", "lost"
_PARKED, _USERS, _CLASSES, _LOST = 500, 7, 15, 50
_DEAF_ADDRESS = "127.0.0.9"
_READY_S = 3.0  # the parked ones are due so long before the opening
_PARK = """
insert into public.prebookings (user_email, box_subdomain, box_aimharder_id, booking_data, available_at, armed_at,
  created_at, status, claim_token, claimed_at, claim_counted, attempts, booking_started_at, begun_token, ended_token,
  parks, lease_until, version, scheduled_version, last_outcome)
select 'parked' || i || '@example.com', $1, $2, jsonb_build_object('day', $3::text, 'id', i::text), an_hour_ago,
  an_hour_ago, an_hour_ago, 'executing', t, an_hour_ago, true, 1, an_hour_ago, t, t, 1, $4, 1, 1, 'gym_unreachable'
from (select i, gen_random_uuid() as t, now() - interval '1 hour' as an_hour_ago
  from generate_series(1, $5::int) i) each_row
"""


@dataclass(frozen=True, slots=True)
class Wish:
    member: Member
    box: str
    class_id: int


def wishes() -> list[Wish]:
    """What the neighbours ask for, besides what is parked."""
    deaf = [Wish(_member("deaf", u), DEAF, c) for u in range(_USERS) for c in range(_CLASSES)]
    return deaf + [Wish(_member("lost", i), f"{LOST}{i:02}", 1) for i in range(_LOST)]


def _member(kind: str, number: int) -> Member:
    return Member(f"{kind}{number}@example.com", "secret", kind)


class OursBesideNeighbours(Ours):
    name = "prebooking, beside neighbours in trouble"

    def ahead_s(self, count: int) -> float:
        return super().ahead_s(count) + 5.0

    async def run(self, count: int, opens_at: datetime) -> Round:
        """The neighbours are there from before the opening until after it."""
        async with self._scene.stack.database() as connection:
            day = f"{opens_at + timedelta(days=2):%Y%m%d}"
            due = opens_at - timedelta(seconds=self._lead_s + _READY_S)
            await connection.execute(_PARK, SILENT["slug"], str(SILENT["boid"]), day, due, _PARKED)
            asking = asyncio.create_task(self._ask(wishes(), day, opens_at))
            round_ = await super().run(count, opens_at)
            await asking
            await connection.execute("delete from public.prebookings where user_email !~ '^m[0-9]{4}@'")
        await sleep_until(opens_at, 8.0)  # what was under way for them is over
        return round_

    async def _ask(self, asked: Sequence[Wish], day: str, opens_at: datetime) -> None:
        async def create(number: int) -> None:
            wish = asked[number]
            body: dict[str, Any] = {
                "box_subdomain": wish.box,
                "box_aimharder_id": 9,
                "booking_data": {"day": day, "id": wish.class_id},
                "available_at": opens_at.isoformat(),
            }
            await self._scene.stack.prebook(wish.member.email, body)

        await side_by_side(len(asked), create, at_once=8)


@asynccontextmanager
async def neighbourhood(scene: Scene) -> AsyncIterator[None]:
    """The boxes in trouble, and sessions for all who want something there."""
    stack = scene.stack
    await stack.control(stack.aimharder_url, "boxes", SILENT)
    await stack.control(stack.aimharder_url, "faults", {"kind": "hang", "box": SILENT["slug"], "handled": False})
    parked = [_member("parked", i + 1) for i in range(_PARKED)]
    await stack.enrol(parked + list({wish.member for wish in wishes()}))
    everyone = scene.names.zones.pop(f"*.{ZONE}")  # the first that fits a name is asked
    scene.names.put(f"{LOST}*.{ZONE}", silent=True)
    scene.names.put(f"{DEAF}.{ZONE}", (_DEAF_ADDRESS,))
    scene.names.zones[f"*.{ZONE}"] = everyone
    port = int(stack.aimharder_url.rpartition(":")[2])
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind((_DEAF_ADDRESS, port))
        deaf.listen(0)
        for taken in (first, second):  # its queue is full: who connects now gets no answer
            taken.setblocking(False)
            taken.connect_ex((_DEAF_ADDRESS, port))
        yield
