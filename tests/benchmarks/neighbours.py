"""Do others make 20 members of a healthy gym late? `python neighbours.py`, from this folder: two minutes.

The others: 500 parked rows of a gym that answers no question, and 105 wishes, of 7 users, at a box that refuses every
connection. Each box has an address of its own here, 127.0.0.1 to 3; the gym listens at the first.
"""

import argparse
import asyncio
import json
import socket
import statistics
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
from contestants import Ours
from scene import BOX, Scene, open_scene_at, whole_second

from prebooking.local.stack import Ports

_COUNT, _LEAD_S = 20, 3
_USERS, _WISHES = 7, 15
_PARK = """
insert into public.prebookings (id, user_email, box_subdomain, box_aimharder_id, booking_data, wish_key, available_at,
  give_up_at, status, attempts, claim_token, claim_tokens, lease_until, booking_started_at, begun_token, parks,
  scheduled_version, armed_at)
values ($1, $2, '3', '8', $3, $4, now() - interval '5 minutes', now() + interval '4 days', 'executing', 1, $1,
  array[$1::uuid], now() + interval '2 seconds', now() - interval '5 minutes', $1, 3, 1, now() - interval '1 day')
"""
_WISH = """
insert into public.prebookings (id, user_email, box_subdomain, box_aimharder_id, booking_data, wish_key, available_at,
  give_up_at, created_at, armed_at)
values ($1, $2, '2', '9', $3, $4, $5, now() + interval '4 days', now() - interval '1 day', now())
"""
_GONE = """
update public.prebookings set status = 'cancelled', claim_token = null, lease_until = null, booking_started_at = null,
  begun_token = null where status in ('pending', 'executing')
"""


async def neighbours(scene: Scene, opens_at: datetime, *, parked: int, users: int) -> None:
    """Puts the others' rows in."""
    day = f"{datetime.now(UTC) + timedelta(days=4):%Y%m%d}"
    emails = [person.member.email for person in scene.people[_COUNT:]]

    def data(n: int) -> str:
        return json.dumps({"day": day, "id": str(9000 + n), "familyId": "", "insist": 0})

    connection = await asyncpg.connect(scene.stack.database_url)
    try:
        await connection.executemany(
            _PARK, [(uuid4(), emails[n % len(emails)], data(n), f"parked {uuid4()}") for n in range(parked)]
        )
        await connection.executemany(
            _WISH,
            [
                (uuid4(), email, data(n), f"wish {uuid4()}", opens_at)
                for email in emails[:users]
                for n in range(_WISHES)
            ],
        )
    finally:
        await connection.close()


async def gone(scene: Scene) -> None:
    connection = await asyncpg.connect(scene.stack.database_url)
    try:
        await connection.execute(_GONE)
    finally:
        await connection.close()


async def main(rounds: int) -> None:
    others = {"alone": (0, 0), "with what is parked": (500, 0), "with wishes": (0, _USERS), "with both": (500, _USERS)}
    late: dict[str, list[float]] = {name: [] for name in others}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    BOX["slug"] = "1"
    at = f"http://127.0.0.{{box}}:{port}/{{box}}"
    silent = await asyncio.start_server(lambda *_: None, "127.0.0.3", port)
    async with (
        silent,
        open_scene_at(Ports(0, 0, 0, port), _COUNT + 40, AIMHARDER_BOX_URL=at, LOG_LEVEL="ERROR") as scene,
    ):
        ours = Ours(scene, _LEAD_S)
        for _ in range(rounds):
            for name, into in late.items():
                await scene.forget()
                opens_at = whole_second(ours.ahead_s(_COUNT) + 2)
                parked, users = others[name]
                await neighbours(scene, opens_at, parked=parked, users=users)
                round_ = await ours.run(_COUNT, opens_at)
                into += [arrival.last_byte_ms for arrival in await scene.arrivals(opens_at, round_.class_id)]
                await gone(scene)
                await asyncio.sleep(9)  # their executions end by their budgets
    for name, each in late.items():
        if not each:
            print(f"{name}: none arrived")  # noqa: T201
            continue
        each.sort()
        p99 = each[-1 - len(each) // 100]
        figures = " · ".join(f"{ms:.2f}" for ms in (each[0], statistics.median(each), p99, each[-1]))
        print(f"{name}: {len(each)} of {_COUNT * rounds} arrived; min · p50 · p99 · max {figures} ms")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    asyncio.run(main(parser.parse_args().rounds))
