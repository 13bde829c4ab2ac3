"""A token that the gym has rotated is stored, however late its answer comes, whoever is gone, whatever is away."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.executions import ANA, REFRESH, WHOAMI, at_gym, delivered, inject_fault, ran
from tests.support.world import Outside, World, open_world
from tests.web.test_session_watch import kill_session, requests_to, time_passes, token_is_old, waiting

from prebooking.adapters.aimharder import session_client
from prebooking.adapters.supabase.rpc import open_rpc
from prebooking.adapters.supabase.session_vault import SessionVault
from prebooking.operator.session_encryption import Encryption
from prebooking_local.aimharder import Session
from prebooking_local.supabase import Fault

QUESTION_S = 0.5
LATE_S = 1.0  # for an answer, where a question would have been given up


@pytest.fixture
async def watching(database: asyncpg.Connection, outside: Outside) -> AsyncIterator[World]:
    """A replica whose chores are done when the test says so."""
    async with open_world(database, *outside, sweep_seconds=0) as running:
        running.gym.accounts.rules.stale_token_kills = True
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_client, "QUESTION_S", QUESTION_S)


async def stored(world: World) -> dict[str, Any]:
    row = await world.database.fetchrow("select * from public.auth_sessions")
    assert row
    return dict(row)


async def is_kept(world: World, email: str = ANA) -> bool:
    """Whether the database has what the gym takes."""
    of_user = "select aimharder_token, aimharder_cookies from public.auth_sessions where user_email = $1"
    token, cookies = await world.database.fetchrow(of_user, email)
    session = world.gym.accounts.sessions(email)[0]
    return token == session.token and session.auth in cookies


async def old_and_waiting(world: World, opens_in_s: float = 1790) -> dict[str, Any]:
    await world.member(ANA)
    row = await waiting(world, opens_in_s)
    await token_is_old(world)
    return row


async def warning_of(world: World, row: dict[str, Any]) -> Any:
    return (await world.read(ANA, row["id"]))["warning"]


# ---- the answer comes late


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("renews", [True, False])
async def test_an_answer_to_a_look_that_comes_late_is_awaited_and_stored(watching: World, renews: bool) -> None:  # noqa: FBT001
    watching.gym.accounts.rules.refresh_renews_cookie = renews
    row = await old_and_waiting(watching)
    inject_fault(watching, "slow", REFRESH, seconds=LATE_S)
    await watching.services.background_tasks.once()
    assert await is_kept(watching)
    await time_passes(watching, 1500)
    await watching.services.background_tasks.once()
    assert (await warning_of(watching, row), requests_to(watching, REFRESH)) == (None, 1)


@pytest.mark.usefixtures("impatient")
async def test_in_an_execution_the_request_goes_on_with_what_came_late(sweepless: World) -> None:
    await sweepless.member(ANA)
    inject_fault(sweepless, "logout", WHOAMI)
    inject_fault(sweepless, "slow", REFRESH, seconds=2.5)
    row = await sweepless.finished(ANA, (await sweepless.prebook(ANA, sweepless.open_class(2)))["id"])
    assert row["result"]["outcome"] == "booked"
    assert len(row["result"]["timings"]["shots"]) == 2  # the first with the cookies that the refresh had ended
    assert await is_kept(sweepless)


async def test_whoever_waits_no_longer_leaves_the_refresh_to_be_stored(watching: World) -> None:
    await watching.member(ANA)
    inject_fault(watching, "logout", WHOAMI)
    inject_fault(watching, "slow", REFRESH, seconds=LATE_S)
    async with httpx.AsyncClient(base_url=watching.url) as client:
        asking = asyncio.create_task(client.get("/session", headers=watching.speaking_for(ANA)))
        await at_gym(watching, REFRESH)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
    await watching.services.effects.wait_idle()
    assert await is_kept(watching)


async def test_who_asks_meanwhile_waits_for_the_same_refresh(watching: World) -> None:
    await watching.member(ANA)
    inject_fault(watching, "slow", REFRESH, seconds=LATE_S)
    watching.gym.accounts.rules.session_minutes = 1e-9  # every session is dead until it is refreshed, and soon after
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(watching.http.get("/session", headers=watching.speaking_for(ANA)))
    assert requests_to(watching, REFRESH) == 1


# ---- the database is away


async def test_while_the_database_is_away_it_is_tried_until_it_is_stored(watching: World) -> None:
    await old_and_waiting(watching)
    faults = watching.gateway.faults
    faults.set(Fault(function="save_session", kind="unavailable", times=None))
    await watching.services.background_tasks.once()  # it goes on with what is known
    assert not await is_kept(watching)
    faults.set()
    await watching.services.effects.wait_idle()
    assert await is_kept(watching)
    answer = await watching.http.get("/session", headers=watching.speaking_for(ANA))
    assert (answer.json()["alive"], requests_to(watching, REFRESH)) == (True, 1)


async def test_meanwhile_no_other_replica_refreshes_it(watching: World, outside: Outside) -> None:
    await old_and_waiting(watching)
    faults = watching.gateway.faults
    faults.set(Fault(function="save_session", kind="unavailable", times=None))
    await watching.services.background_tasks.once()
    async with open_world(watching.database, *outside, beside=True, sweep_seconds=0) as second:
        answer = await second.http.get("/session", headers=second.speaking_for(ANA))
        assert answer.json()["alive"] is None  # nobody can tell yet
        faults.set()
        await watching.services.effects.wait_idle()
        answer = await second.http.get("/session", headers=second.speaking_for(ANA))
        assert answer.json()["alive"] is True
    assert requests_to(watching, REFRESH) == 1


# ---- the process is about to end


@pytest.mark.parametrize("by_signal", [True, False])
async def test_a_stop_finishes_the_refreshes_that_were_sent_and_sends_no_more(
    database: asyncpg.Connection,
    outside: Outside,
    by_signal: bool,  # noqa: FBT001
) -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    emails = [ANA, *(f"member{n}@example.com" for n in range(1, 8))]
    try:
        async with open_world(database, *outside, sweep_seconds=5) as world:
            for n, email in enumerate(emails):
                await world.member(email)
                await world.prebook(email, world.open_class(1790, class_id=600 + n), id=600 + n)
            await token_is_old(world)
            await database.execute("delete from prebooking.session_watch")
            inject_fault(world, "slow", REFRESH, seconds=0.8, times=8)
            world.services.background_tasks.run_soon()
            await at_gym(world, REFRESH, nth=2)
            if by_signal:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(0.1)
        assert len(world.gym.ledger.of(REFRESH)) < len(emails)
        assert [await is_kept(world, email) for email in emails] == [True] * len(emails)
        leases = "select count(*) from public.auth_sessions where refresh_lease is not null"
        assert await database.fetchval(leases) == 0  # the next replica may go on at once
    finally:
        signal.signal(signal.SIGTERM, before)


# ---- the answer is lost


@pytest.mark.parametrize("fault", ["reset", "truncated", "status"])
async def test_a_lost_answer_is_no_dead_session_and_its_token_is_not_used_while_the_cookies_live(
    watching: World, fault: str
) -> None:
    watching.gym.accounts.rules.refresh_renews_cookie = False
    row = await old_and_waiting(watching)
    inject_fault(watching, fault, REFRESH, status=502, handled=True)
    await watching.services.background_tasks.once()
    assert (await stored(watching))["last_token_update_error"] == "answer_lost"
    await time_passes(watching, 1500)
    await watching.services.background_tasks.once()
    assert (await warning_of(watching, row), requests_to(watching, REFRESH)) == (None, 1)
    kill_session(watching)
    await time_passes(watching, 230)
    answer = await watching.http.get("/session", headers=watching.speaking_for(ANA))
    assert answer.json()["alive"] is False  # the truth, once the stale token was refused


async def test_the_cookies_of_an_answer_that_breaks_off_are_kept(watching: World) -> None:
    row = await old_and_waiting(watching)
    inject_fault(watching, "truncated", REFRESH)
    await watching.services.background_tasks.once()
    assert watching.gym.accounts.sessions(ANA)[0].auth in (await stored(watching))["aimharder_cookies"]
    assert await warning_of(watching, row) is None


async def test_a_refresh_that_was_never_carried_out_is_made_up_for_once_the_cookies_are_dead(watching: World) -> None:
    await old_and_waiting(watching)
    inject_fault(watching, "reset", REFRESH, handled=False)
    await watching.services.background_tasks.once()
    inject_fault(watching, "logout", WHOAMI)
    await time_passes(watching, 1500)
    await watching.services.background_tasks.once()
    assert (requests_to(watching, REFRESH), await is_kept(watching)) == (2, True)
    assert (await stored(watching))["last_token_update_error"] is None


async def test_a_lost_answer_over_dead_cookies_warns_nobody(watching: World) -> None:
    row = await old_and_waiting(watching)
    inject_fault(watching, "reset", REFRESH, handled=False)
    inject_fault(watching, "logout", WHOAMI, times=3)
    await watching.services.background_tasks.once()
    assert await warning_of(watching, row) is None
    await time_passes(watching, 61)
    await watching.services.background_tasks.once()
    assert (requests_to(watching, REFRESH), await is_kept(watching)) == (2, True)


async def test_what_could_not_be_sent_gives_the_session_back_at_once(watching: World) -> None:
    await old_and_waiting(watching)
    inject_fault(watching, "logout", WHOAMI, seconds=0.5)
    session = watching.gym.accounts.sessions(ANA)[0]
    await check_with_refused_refresh(watching)
    assert session.token == (await stored(watching))["aimharder_token"]
    row = await stored(watching)
    assert (row["refresh_lease"], row["last_token_update_error"]) == (None, "not_sent")


async def check_with_refused_refresh(world: World) -> None:
    """Checks the session while whoami is answered, and the refresh finds the port of the gym closed."""
    asking = asyncio.create_task(world.http.get("/session", headers=world.speaking_for(ANA)))
    await at_gym(world, WHOAMI)
    inject_fault(world, "refuse", "/")
    assert (await asking).json()["alive"] is None
    world.gym.faults.clear()


# ---- the last minute


async def test_in_the_last_minute_a_living_session_is_left_alone(watching: World) -> None:
    await old_and_waiting(watching, 50)
    await watching.services.background_tasks.once()
    assert (requests_to(watching, WHOAMI), requests_to(watching, REFRESH)) == (1, 0)
    kill_session(watching)
    await watching.database.execute("delete from prebooking.session_watch")
    await watching.services.background_tasks.once()
    assert requests_to(watching, REFRESH) == 1  # a dead one may be revived


async def test_the_last_minute_is_that_of_any_opening_of_the_user(watching: World) -> None:
    await old_and_waiting(watching, 290)
    near = await watching.prebook(ANA, watching.open_class(40, class_id=502), id=502)
    await watching.services.background_tasks.once()
    assert requests_to(watching, REFRESH) == 0
    done = await watching.http.delete(f"/prebookings/{near['id']}", headers=watching.speaking_for(ANA))
    assert done.is_success
    await time_passes(watching, 61)
    await watching.services.background_tasks.once()
    assert requests_to(watching, REFRESH) == 1  # it was not forgotten


@pytest.mark.parametrize(("age_min", "refreshes"), [(19, 0), (21, 1)])
async def test_after_the_last_look_nobody_is_older_than_25_minutes_at_the_opening(
    watching: World, age_min: int, refreshes: int
) -> None:
    await old_and_waiting(watching, 295)
    await watching.database.execute(
        "update public.auth_sessions set created_at = now() - make_interval(mins => $1)", age_min
    )
    await watching.services.background_tasks.once()
    assert requests_to(watching, REFRESH) == refreshes


# ---- the web application refreshes too


async def test_an_execution_waits_for_what_the_web_application_has_just_refreshed(sweepless: World) -> None:
    sweepless.gym.accounts.rules.session_minutes = None
    await sweepless.member(ANA)
    session: Session = sweepless.gym.accounts.sessions(ANA)[0]
    row = await sweepless.prebook(ANA, sweepless.open_class(3.5))
    sweepless.gym.accounts.refresh(session, session.token, sweepless.gym.site.clock())  # and has not stored it yet
    await at_gym(sweepless, REFRESH)
    await asyncio.sleep(0.5)
    await sweepless.database.execute(
        "update public.auth_sessions set aimharder_token = $1, aimharder_cookies = $2",
        session.token,
        json.dumps(session.cookies()),
    )
    assert (await delivered(sweepless, row)).outcome == "booked"


async def test_a_late_execution_of_a_session_dead_for_good_still_sends_nothing(sweepless: World) -> None:
    await sweepless.member(ANA)
    kill_session(sweepless)
    _, row = await ran(sweepless, await sweepless.prebook(ANA, sweepless.open_class()))
    assert (row["error_code"], sweepless.booking_requests()) == ("session_expired", 0)


# ---- encrypted anew


async def test_who_was_told_of_a_dead_session_is_not_told_again_once_it_is_encrypted(
    database: asyncpg.Connection, outside: Outside
) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    async with open_world(database, *outside, sweep_seconds=0, session_encryption_keys=key) as world:
        row = await old_and_waiting(world)
        kill_session(world)
        await world.services.background_tasks.once()
        async with open_rpc(outside[0].url, outside[0].secret_key, "tests") as rpc:
            encryption = Encryption(rpc, SessionVault([bytes(range(32))]))
            assert [step async for step in encryption.run()] == ["encrypted"]
        await time_passes(world, 1500)
        await world.services.background_tasks.once()
        assert await warning_of(world, row)
        assert await database.fetchval("select count(*) from prebooking.notices") == 1
