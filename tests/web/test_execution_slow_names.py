"""Gyms whose names nobody answers for keep no other gym waiting."""

from functools import partial

import asyncpg
import httpx
from tests.support.executions import ANA, ON_TIME_MS
from tests.support.world import Outside, open_world

from prebooking.adapters.aimharder.c_ares import look_up
from prebooking.adapters.aimharder.resolver import Resolver
from prebooking_local.names import name_server

EVA = "eva@example.com"
LOST = 50


async def test_a_gym_is_on_time_though_fifty_names_do_not_resolve(
    database: asyncpg.Connection, outside: Outside
) -> None:
    _, _, gym = outside
    async with name_server() as names:
        own = names.put("mygym.gyms.test", ["127.0.0.1"])
        names.put("silent*.gyms.test", silent=True)
        names.put("slow*.gyms.test", code="nxdomain", after_s=1.2)
        resolver = Resolver(partial(look_up, servers=[names.address]), allowed=lambda one: one.is_loopback)
        async with open_world(
            database,
            *outside,
            resolver=resolver,
            aimharder_box_url=f"http://{{box}}.gyms.test:{httpx.URL(gym.url).port}",
            max_active_prebookings=2 * LOST,
            max_creates_per_minute=2 * LOST,
        ) as world:
            await world.member(ANA)
            await world.member(EVA)
            opens_at = world.open_class(6)
            for n in range(LOST):
                wish = world.wish(opens_at) | {"box_subdomain": f"{'silent' if n % 2 else 'slow'}{n}"}
                answer = await world.http.post("/prebookings", headers=world.speaking_for(EVA), json=wish)
                assert answer.status_code == httpx.codes.CREATED
            row = await world.finished(ANA, (await world.prebook(ANA, opens_at))["id"])
            asked = [name for name in names.questions if name.startswith(("silent", "slow"))]
    assert row["status"] == "completed", row
    assert 0 <= row["result"]["timings"]["fire_lateness_ms"] < ON_TIME_MS
    assert own.asked == 1  # for the listing and the request
    assert len(set(asked)) > LOST / 2  # they were being looked for meanwhile
