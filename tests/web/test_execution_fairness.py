"""Whatever other boxes and users want, and however silent they are: who wants a healthy gym is not made late by it."""

import copy
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from tests.support.executions import ANA, BOOK, LISTING, ON_TIME_MS, until
from tests.support.world import Outside, World, open_world

from prebooking.adapters.aimharder.client import AimHarder as Gyms
from prebooking_local.aimharder import Box, Fault

SILENT = Box(slug="silentgym", boid=8)
DEAD = "deadbox"
_CROWD_LEAD_S = 8
USERS = [f"other{n}@example.com" for n in range(8)]


@pytest.fixture
async def living(database: asyncpg.Connection, outside: Outside) -> AsyncIterator[World]:
    """Swept every few seconds; in the end nothing of it is under way any more."""
    async with open_world(database, *outside) as world:
        world.gym.gym.put_box(SILENT)
        for email in (ANA, *USERS):
            await world.member(email)
        yield world
        world.gym.faults.clear()
        await database.execute(
            "update public.prebookings set status = 'cancelled', claim_token = null, lease_until = null,"
            " booking_started_at = null, begun_token = null where status in ('pending', 'executing')"
        )


@pytest.fixture(params=["refuses", "drops"])
def unreachable(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a host that refuses connections, or lets them wait for ever."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = listening.getsockname()
        taken = [socket.socket() for _ in range(3)]
        if request.param == "drops":  # its backlog is full
            listening.listen(0)
            for one in taken:
                one.setblocking(False)
                one.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"
        for one in taken:
            one.close()


async def park(world: World, number: int) -> None:
    """They fired some minutes ago, and their answers were lost."""
    for n in range(number):
        token = uuid4()
        wanted = {"day": world.day(world.open_class(0, class_id=9000)), "id": str(700 + n), "familyId": "", "insist": 0}
        await world.database.execute(
            "insert into public.prebookings (id, user_email, box_subdomain, box_aimharder_id, booking_data, wish_key,"
            " available_at, give_up_at, status, attempts, claim_token, claim_tokens, lease_until, booking_started_at,"
            " begun_token, parks, scheduled_version, armed_at)"
            " values ($1, $2, $3, '8', $4, $5, now() - interval '5 minutes', now() + interval '4 days', 'executing', 1,"
            " $6, array[$6::uuid], now() + interval '1 second', now() - interval '5 minutes', $6, 3, 1,"
            " now() - interval '1 day')",
            *(uuid4(), USERS[n % len(USERS)], SILENT.slug, json.dumps(wanted), f"wish {n}", token),
        )


async def late_ms(world: World, opens_in_s: float = 5.0) -> float:
    """How late Ana's request is at the gym."""
    opens_at = world.open_class(opens_in_s, capacity=5)
    row = await world.prebook(ANA, opens_at)
    await world.finished(ANA, row["id"])
    booked = world.gym.ledger.of(BOOK, ANA)[-1]
    return (booked.request.first_byte_ns / 1e9 - opens_at.timestamp()) * 1000


async def test_what_a_silent_gym_has_parked_makes_nobody_else_late(living: World) -> None:
    await park(living, 120)
    living.gym.faults.add(Fault(kind="hang", path=LISTING, box=SILENT.slug))
    assert 0 <= await late_ms(living) < ON_TIME_MS


async def test_a_silent_gym_is_asked_sparsely_about_what_it_has_parked(living: World) -> None:
    living.gym.faults.add(Fault(kind="hang", path=LISTING, box=SILENT.slug))
    await park(living, 60)

    def parked_again() -> Any:
        return living.database.fetchval("select bool_and(parks > 3 and lease_until > now()) from public.prebookings")

    async def asked() -> int:
        return len([entry for entry in living.gym.ledger.of(LISTING) if entry.request.box == SILENT.slug])

    while not await parked_again():
        await until(lambda: True)
    assert await asked() < 30


async def test_boxes_that_do_not_connect_make_nobody_else_late(
    living: World, unreachable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = Gyms.visit

    @asynccontextmanager
    async def elsewhere(self: Gyms, box: Any, session: Any) -> AsyncIterator[Any]:
        gyms = copy.copy(self)
        if box.subdomain == DEAD:
            gyms._hosts = replace(gyms._hosts, box_url=unreachable)
        async with visit(gyms, box, session) as gym:
            yield gym

    monkeypatch.setattr(Gyms, "visit", elsewhere)
    opens_at = living.open_class(6.0, class_id=800)  # they are swept before her message rings
    wishes = [living.wish(opens_at, class_id=800 + n)["booking_data"] for n in range(20)]
    await living.database.executemany(
        "insert into public.prebookings (id, user_email, box_subdomain, box_aimharder_id, booking_data, wish_key,"
        " available_at, give_up_at, armed_at) values ($1, $2, $3, '9', $4, $5, $6, now() + interval '4 days', now())",
        [
            (uuid4(), email, DEAD, json.dumps(wish | {"familyId": "", "insist": 0}), f"{email} {wish['id']}", opens_at)
            for email in USERS
            for wish in wishes
        ],
    )
    assert 0 <= await late_ms(living, opens_at.timestamp() + 2 - living.services.clock.wall()) < ON_TIME_MS


async def test_while_one_users_wishes_take_all_deliveries_a_host_that_sleeps_executes_the_others(
    database: asyncpg.Connection, outside: Outside
) -> None:
    # 35 at once: a busy machine needs longer to make them ready than a message usually comes ahead.
    async with open_world(
        database, *outside, sweep_seconds=0, lead_seconds=_CROWD_LEAD_S, max_duration_seconds=_CROWD_LEAD_S + 7
    ) as world:
        world.qstash.qstash.faults.change({"parallelism": 10})
        world.qstash.qstash.broker.heed_faults()
        world.gym.gym.put_box(SILENT)
        members = [f"member{n}@example.com" for n in range(20)]
        for email in (USERS[0], *members):
            await world.member(email)
        world.gym.faults.add(Fault(kind="hang", box=SILENT.slug))
        opens_at = world.open_class(20.0, capacity=50)
        for n in range(15):
            wanted = world.wish(opens_at, class_id=800 + n) | {"box_subdomain": SILENT.slug}
            answer = await world.http.post("/prebookings", headers=world.speaking_for(USERS[0]), json=wanted)
            assert answer.status_code == 201
        rows = [await world.prebook(email, opens_at) for email in members]
        assert world.services.clock.wall() < opens_at.timestamp() - _CROWD_LEAD_S, "the machine is too busy to tell"
        done = [await world.finished(row["user_email"], row["id"]) for row in rows]
        assert {row["status"] for row in done} == {"completed"}
        assert max(row["result"]["timings"]["fire_lateness_ms"] for row in done) < ON_TIME_MS
        world.gym.faults.clear()
