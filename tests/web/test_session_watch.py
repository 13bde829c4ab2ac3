"""Sessions are alive at the opening, and who must sign in again is told in time."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.executions import ANA, REFRESH, WHOAMI, at_gym, bookings_asked, inject_fault
from tests.support.webhook_receiver import Receiver
from tests.support.world import Outside, World, open_world

from prebooking.domain.budget import Budget


@pytest.fixture
async def watching(database: asyncpg.Connection, outside: Outside, webhook: Receiver) -> AsyncIterator[World]:
    """A replica whose chores are done when the test says so."""
    async with open_world(database, *outside, **webhook.settings, sweep_seconds=0) as running:
        yield running


async def waiting(world: World, opens_in_s: float, **data: Any) -> dict[str, Any]:
    return await world.prebook(ANA, world.open_class(opens_in_s), **data)


async def time_passes(world: World, seconds: float) -> None:
    """Moves the openings and the checks of sessions so many seconds into the past."""
    await world.database.execute(
        "update public.prebookings set available_at = available_at - make_interval(secs => $1)", seconds
    )
    await world.database.execute(
        "update prebooking.session_watch set looked_at = looked_at - make_interval(secs => $1),"
        " lease_until = lease_until - make_interval(secs => $1)",
        seconds,
    )


async def token_is_old(world: World) -> None:
    await world.database.execute(
        "update public.auth_sessions set created_at = now() - interval '26 minutes', connected_at = null,"
        " last_token_update_date = null, last_refresh_date = null"
    )


def kill_session(world: World) -> None:
    world.gym.accounts.kill(ANA, world.gym.site.clock())


def requests_to(world: World, path: str) -> int:
    return len(world.gym.ledger.of(path))


async def test_a_session_that_dies_an_hour_before_the_opening_is_told_half_an_hour_before(
    watching: World, webhook: Receiver
) -> None:
    await watching.member(ANA)
    row = await waiting(watching, 3600, activityName="WOD")
    kill_session(watching)
    await watching.services.background_tasks.once()
    assert (requests_to(watching, WHOAMI), webhook.received) == (0, [])
    await time_passes(watching, 1801)
    await watching.services.background_tasks.once()

    (told,) = await webhook.wait_for(1)
    assert told["type"] == "session.dead"
    assert told["title"].startswith("Sign in to AimHarder: WOD")
    assert told["data"]["prebooking_id"] == row["id"]
    warned = await watching.read(ANA, row["id"])
    assert (warned["status"], warned["warning"]["code"]) == ("pending", "session_expired")
    opening = datetime.fromisoformat(warned["available_at"])
    assert opening - datetime.fromisoformat(warned["warning"]["since"]) >= timedelta(minutes=4)


async def test_it_is_looked_at_30_and_5_minutes_before_and_at_no_other_time(watching: World) -> None:
    await watching.member(ANA)
    await waiting(watching, 1810)
    looks = []
    for seconds in (0, 20, 600, 880, 15, 60, 200):  # 1810, 1790, 1190, 310, 295, 235, 35 s before it
        await time_passes(watching, seconds)
        await watching.services.background_tasks.once()
        looks.append(requests_to(watching, WHOAMI))
    assert looks == [0, 1, 1, 1, 2, 2, 2]


async def test_who_dies_between_the_two_looks_is_told_by_the_second_and_told_once(
    watching: World, webhook: Receiver
) -> None:
    await watching.member(ANA)
    await waiting(watching, 1790)
    await watching.services.background_tasks.once()
    kill_session(watching)
    await time_passes(watching, 1500)
    for _ in range(3):
        await watching.services.background_tasks.once()
    assert len(await webhook.wait_for(1)) == 1


async def test_many_who_die_at_once_are_told_together(watching: World, webhook: Receiver) -> None:
    """Each may be stored anew by the web application for two seconds, which pass for all of them at once: else 48 s."""
    members = [f"member{n}@example.com" for n in range(24)]
    for n, email in enumerate(members):
        await watching.member(email)
        await watching.prebook(email, watching.open_class(1790, class_id=600 + n), id=600 + n)
        watching.gym.accounts.kill(email, watching.gym.site.clock())
    async with asyncio.timeout(24):
        await watching.services.background_tasks.once()
    told = await webhook.wait_for(len(members))
    assert sorted(one["data"]["user_email"] for one in told) == sorted(members)


async def test_who_stays_dead_is_told_once(watching: World, webhook: Receiver) -> None:
    await watching.member(ANA)
    await waiting(watching, 1790)
    kill_session(watching)
    await watching.services.background_tasks.once()
    await time_passes(watching, 1500)
    await watching.services.background_tasks.once()
    assert requests_to(watching, WHOAMI) >= 2
    assert await watching.database.fetchval("select count(*) from prebooking.notices") == 1


async def test_one_that_stays_dead_is_asked_about_once_a_look_though_another_class_opens_soon(
    watching: World,
) -> None:
    await watching.member(ANA)
    first = await waiting(watching, 1790)
    second = await watching.prebook(ANA, watching.open_class(2690, class_id=502), id=502)
    kill_session(watching)
    await watching.services.background_tasks.once()
    warned = (await watching.read(ANA, first["id"]))["warning"]
    await time_passes(watching, 901)
    async with asyncio.timeout(60):
        await watching.services.background_tasks.once()
    assert requests_to(watching, REFRESH) == 2
    assert (await watching.read(ANA, first["id"]))["warning"] == warned
    assert (await watching.read(ANA, second["id"]))["warning"]["code"] == "session_expired"


async def test_what_a_broken_off_look_has_sent_is_awaited_and_stored(watching: World) -> None:
    for number in range(8):
        email = ANA if number == 0 else f"member{number}@example.com"
        await watching.member(email)
        await watching.prebook(email, watching.open_class(1790, class_id=600 + number), id=600 + number)
    await token_is_old(watching)
    inject_fault(watching, "slow", REFRESH, seconds=0.5, times=8)
    pass_ = asyncio.create_task(watching.services.background_tasks.once())
    await at_gym(watching, REFRESH)
    pass_.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pass_
    await watching.services.effects.wait_idle()
    assert requests_to(watching, REFRESH) < 8  # none has begun since
    for row in await watching.database.fetch("select user_email, aimharder_token from public.auth_sessions"):
        assert row["aimharder_token"] == watching.gym.accounts.sessions(row["user_email"])[0].token


async def test_with_little_time_left_no_look_begins(watching: World) -> None:
    await watching.member(ANA)
    await waiting(watching, 1790)
    clock = watching.services.clock
    for arrived_ago, looks in ((5, 0), (1, 1)):
        await watching.services.background_tasks.within(
            Budget(clock, clock.monotonic() - arrived_ago, max_duration_s=10)
        )
        assert requests_to(watching, WHOAMI) == looks


async def test_who_signs_in_again_is_warned_no_longer_and_is_booked(watching: World, webhook: Receiver) -> None:
    await watching.member(ANA)
    row = await waiting(watching, 1790)
    kill_session(watching)
    await watching.services.background_tasks.once()
    assert (await watching.read(ANA, row["id"]))["warning"]
    session = watching.gym.accounts.stored_session(ANA, watching.gym.site.clock())
    answer = await watching.http.put(
        "/session",
        headers=watching.speaking_for(ANA),
        json={"cookies": session.cookies(), "token": session.token, "fingerprint": session.fingerprint},
    )
    assert answer.status_code == 200
    assert (await watching.read(ANA, row["id"]))["warning"] is None
    before = requests_to(watching, WHOAMI)
    await watching.services.background_tasks.once()
    assert requests_to(watching, WHOAMI) == before + 1  # looked at anew
    assert (await watching.read(ANA, row["id"]))["warning"] is None


async def test_one_without_a_session_is_warned_like_one_with_a_dead_one(watching: World, webhook: Receiver) -> None:
    row = await waiting(watching, 1790)
    await watching.services.background_tasks.once()
    await webhook.wait_for(1)
    assert (await watching.read(ANA, row["id"]))["warning"]["code"] == "session_expired"


async def test_an_old_token_is_refreshed_and_a_young_one_left_alone(watching: World) -> None:
    await watching.member(ANA)
    await waiting(watching, 1790)
    await watching.services.background_tasks.once()
    assert (requests_to(watching, WHOAMI), requests_to(watching, REFRESH)) == (1, 0)
    await token_is_old(watching)
    await time_passes(watching, 1500)
    await watching.services.background_tasks.once()
    assert requests_to(watching, REFRESH) == 1
    session = watching.gym.accounts.sessions(ANA)[0]
    stored = await watching.database.fetchrow("select * from public.auth_sessions")
    assert stored["aimharder_token"] == session.token
    assert session.auth in stored["aimharder_cookies"]


async def test_a_silent_gym_warns_nobody_and_is_asked_again(watching: World, webhook: Receiver) -> None:
    await watching.member(ANA)
    row = await waiting(watching, 1790)
    inject_fault(watching, "status", WHOAMI, status=503)
    await watching.services.background_tasks.once()
    assert (await watching.read(ANA, row["id"]))["warning"] is None
    await time_passes(watching, 61)
    kill_session(watching)
    await watching.services.background_tasks.once()
    await webhook.wait_for(1)


async def test_replicas_share_the_looks(watching: World, outside: Outside) -> None:
    for n in range(12):
        email = f"member{n}@example.com"
        await watching.member(email)
        await watching.prebook(email, watching.open_class(1790, class_id=600 + n), id=600 + n)
    async with open_world(watching.database, *outside, beside=True, sweep_seconds=0) as second:
        await asyncio.gather(watching.services.background_tasks.once(), second.services.background_tasks.once())
    assert requests_to(watching, WHOAMI) == 12


async def test_refreshers_that_race_leave_a_living_token_behind(watching: World, outside: Outside) -> None:
    """Two of ours and the web application's, which takes no lease and writes only what it was given."""
    watching.gym.accounts.rules.stale_token_kills = False
    await watching.member(ANA)
    session = watching.gym.accounts.sessions(ANA)[0]
    for _ in range(5):
        await watching.database.execute("delete from public.prebookings")
        await waiting(watching, 1790)
        await token_is_old(watching)

        async def web_application() -> None:
            known, auth = (
                await watching.database.fetchval("select aimharder_token from public.auth_sessions"),
                session.auth,
            )
            async with httpx.AsyncClient() as http:
                said = (
                    await http.post(
                        f"{watching.gym.url}/api/tokenUpdate",
                        data={"token": known, "ciclo": "1", "fingerprint": session.fingerprint},
                        headers={"Cookie": f"amhrdrauth={auth}"},
                    )
                ).json()
            await asyncio.sleep(0.1)  # as long as it takes to store
            if "newToken" in said:
                await watching.database.execute(
                    "update public.auth_sessions set aimharder_token = $1, aimharder_cookies = $2,"
                    " last_token_update_date = now() at time zone 'utc'",
                    said["newToken"],
                    json.dumps(session.cookies()),
                )

        async with open_world(watching.database, *outside, beside=True, sweep_seconds=0) as second:
            await asyncio.gather(
                watching.services.background_tasks.once(), second.services.background_tasks.once(), web_application()
            )
        stored = await watching.database.fetchrow("select * from public.auth_sessions")
        assert stored["aimharder_token"] == session.token
        assert session.auth in stored["aimharder_cookies"]
        assert await watching.database.fetchval("select count(*) from prebooking.notices") == 0


async def test_a_lost_token_is_no_dead_session_while_its_cookies_live(watching: World, webhook: Receiver) -> None:
    """Killed between the gym's answer and our commit: the stored token is stale, the cookies serve until they die."""
    watching.gym.accounts.rules.refresh_renews_cookie = False
    await watching.member(ANA)
    await watching.database.execute("update public.auth_sessions set aimharder_token = 'stale'")
    await token_is_old(watching)
    row = await waiting(watching, 1790)
    await watching.services.background_tasks.once()
    assert (await watching.read(ANA, row["id"]))["warning"] is None
    kill_session(watching)
    await time_passes(watching, 1500)
    await watching.services.background_tasks.once()
    await webhook.wait_for(1)


async def test_while_making_ready_a_living_session_is_left_alone_however_old(watching: World) -> None:
    await watching.member(ANA)
    await token_is_old(watching)
    row = await watching.finished(ANA, (await waiting(watching, 2.5))["id"])
    assert row["result"]["outcome"] == "booked"
    assert (requests_to(watching, REFRESH), len(bookings_asked(watching))) == (0, 1)


async def test_looks_wait_while_an_opening_is_near(watching: World) -> None:
    for email, opens_in_s, class_id in ((ANA, 4.0, 501), ("bea@example.com", 1790, 502)):
        await watching.member(email)
        await watching.prebook(email, watching.open_class(opens_in_s, class_id=class_id), id=class_id)
    async with asyncio.timeout(60):
        while not watching.services.executor._pipeline._shared.gate._waiting:
            await asyncio.sleep(0.01)
    await watching.services.background_tasks.once()
    bea = [entry for entry in watching.gym.ledger.of(WHOAMI) if entry.member == "bea@example.com"]
    (booked,) = bookings_asked(watching)
    assert bea[0].request.first_byte_ns > booked.request.first_byte_ns
