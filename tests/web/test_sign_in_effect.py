"""A login that was sent is awaited and stored, once, whoever is gone, whatever is away; and not over what is newer."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.executions import ANA, ENTRANCE, LOGIN, WHOAMI, at_gym, inject_fault, until
from tests.support.world import Outside, World, open_world
from tests.web.signing_in import ACCOUNT, KEY, RIGHT, WRONG, enrol, logins, post, remembered, stored, told

from prebooking.usecases.sessions import sign_in
from prebooking_local.supabase import Fault

LATE_S = 1.0
REMEMBER = RIGHT | {"remember": True}


@pytest.fixture
async def sealing(database: asyncpg.Connection, outside: Outside) -> AsyncIterator[World]:
    async with open_world(database, *outside, sweep_seconds=0, session_encryption_keys=KEY) as world:
        enrol(world)
        yield world


async def is_signed_in(world: World) -> bool:
    """As the member whose account it is, remembered."""
    found = await told(world)
    return bool(found["alive"] and found["account_email"] == ACCOUNT and found["remembered"])


async def test_whoever_hangs_up_before_the_try_is_counted_is_signed_in_no_more(sealing: World) -> None:
    """As where a replica stood still: its ticket would be above that of what the user has done elsewhere since."""
    sealing.gateway.faults.set(Fault(kind="delay", function="admit_sign_in", seconds=LATE_S))
    async with httpx.AsyncClient(base_url=sealing.url) as client:
        asking = asyncio.create_task(client.post("/session", headers=sealing.speaking_for(ANA), json=REMEMBER))
        await until(lambda: sealing.gateway.faults.active[0].times == 0)  # it is being counted
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
    await sealing.services.effects.wait_idle()
    assert (logins(sealing), await stored(sealing)) == ([], [])
    assert (await post(sealing, REMEMBER)).status_code == 200


@pytest.mark.parametrize("path", [LOGIN, ENTRANCE, WHOAMI])
async def test_one_that_takes_long_is_answered_in_time_and_stored_when_it_comes(
    sealing: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(sign_in, "_WAIT_S", 0.5)
    inject_fault(sealing, "slow", path, seconds=LATE_S)
    answer = await post(sealing, REMEMBER)
    assert (answer.status_code, answer.json()["code"]) == (503, "gym-unreachable")
    assert await stored(sealing) == []
    await sealing.services.effects.wait_idle()
    assert await is_signed_in(sealing)
    assert len(logins(sealing)) == 1


async def test_one_that_hangs_is_answered_within_the_budget(sealing: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "_ANSWER_S", 10.0)  # longer than whoever asks waits
    inject_fault(sealing, "hang", LOGIN)
    asked = asyncio.get_running_loop().time()
    assert (await post(sealing, REMEMBER)).status_code == 503
    assert asyncio.get_running_loop().time() - asked < 8.5
    for connection in list(sealing.gym.site.ledger.entries):
        assert connection.request.path == LOGIN
    sealing.gym.faults.clear()


async def test_whoever_hangs_up_leaves_it_to_be_stored(sealing: World) -> None:
    inject_fault(sealing, "slow", LOGIN, seconds=LATE_S)
    async with httpx.AsyncClient(base_url=sealing.url) as client:
        asking = asyncio.create_task(client.post("/session", headers=sealing.speaking_for(ANA), json=REMEMBER))
        await at_gym(sealing, LOGIN)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
    await sealing.services.effects.wait_idle()
    assert await is_signed_in(sealing)


async def test_who_asks_the_same_meanwhile_waits_for_the_same_sign_in(sealing: World) -> None:
    inject_fault(sealing, "slow", LOGIN, seconds=LATE_S)
    answers = await asyncio.gather(*(post(sealing, REMEMBER) for _ in range(7)), post(sealing, WRONG))
    assert [answer.status_code for answer in answers] == [200] * 7 + [422]
    assert len(logins(sealing)) == 2


async def test_while_the_database_is_away_it_is_tried_until_it_is_stored(sealing: World) -> None:
    faults = sealing.gateway.faults
    faults.set(Fault(function="store_sign_in", kind="unavailable", times=None))
    answer = await post(sealing, REMEMBER)
    assert (answer.status_code, answer.json()["code"]) == (503, "database-unavailable")
    assert await stored(sealing) == []
    faults.set()
    await sealing.services.effects.wait_idle()
    assert await is_signed_in(sealing)
    assert len(logins(sealing)) == 1


async def test_without_a_database_to_count_aimharder_is_not_asked(sealing: World) -> None:
    sealing.gateway.faults.set(Fault(function="admit_sign_in", kind="unavailable", times=None))
    answer = await post(sealing, REMEMBER)
    assert (answer.status_code, answer.json()["code"]) == (503, "database-unavailable")
    assert logins(sealing) == []


async def test_a_lost_answer_of_the_database_is_the_same_try_and_the_same_store(sealing: World) -> None:
    for function in ("admit_sign_in", "store_sign_in"):
        sealing.gateway.faults.set(Fault(function=function, kind="drop", times=1))
        assert (await post(sealing, REMEMBER)).status_code == 200
        assert await is_signed_in(sealing)
    assert len(logins(sealing)) == 2
    assert await sealing.database.fetchval("select count(*) from prebooking.sign_in_tries") == 0


@pytest.mark.parametrize("by_signal", [True, False])
async def test_a_stop_finishes_what_was_sent_and_sends_no_more(
    database: asyncpg.Connection,
    outside: Outside,
    by_signal: bool,  # noqa: FBT001
) -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        async with open_world(database, *outside, sweep_seconds=0, session_encryption_keys=KEY) as world:
            enrol(world)
            inject_fault(world, "slow", LOGIN, seconds=LATE_S)
            asking = asyncio.create_task(post(world, REMEMBER))
            await at_gym(world, LOGIN)
            if by_signal:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(0.1)
                assert (await post(world, WRONG)).status_code == 503
                assert (await asking).status_code == 200
        await asyncio.gather(asking, return_exceptions=True)
        assert len(logins(world)) == 1
        assert await remembered(world)
        (row,) = await stored(world)
        assert row["session_type"] == "background"
    finally:
        signal.signal(signal.SIGTERM, before)


# ---- what is newer


@pytest.mark.parametrize("signed_in", [True, False])
async def test_an_answer_that_comes_after_a_disconnect_brings_nothing_back(
    sealing: World,
    signed_in: bool,  # noqa: FBT001
) -> None:
    if signed_in:
        await post(sealing, REMEMBER)
    inject_fault(sealing, "slow", LOGIN, seconds=LATE_S)
    asking = asyncio.create_task(post(sealing, REMEMBER))
    await at_gym(sealing, LOGIN, nth=1 + signed_in)
    await sealing.http.delete("/session", headers=sealing.speaking_for(ANA))
    answer = await asking
    assert (answer.status_code, answer.json()["connected"], answer.json()["alive"]) == (200, False, False)
    assert (await stored(sealing), await remembered(sealing)) == ([], None)


async def test_an_answer_that_comes_after_a_pasted_session_does_not_replace_it(sealing: World) -> None:
    inject_fault(sealing, "slow", LOGIN, seconds=LATE_S)
    asking = asyncio.create_task(post(sealing, REMEMBER))
    await at_gym(sealing, LOGIN)
    session = sealing.gym.accounts.stored_session(ACCOUNT, sealing.gym.site.clock())
    pasted = {"cookies": session.cookies(), "token": session.token, "fingerprint": "browser"}
    assert (await sealing.http.put("/session", headers=sealing.speaking_for(ANA), json=pasted)).status_code == 200
    answer = await asking
    assert (answer.json()["connected"], answer.json()["alive"], answer.json()["remembered"]) == (True, None, False)
    (row,) = await stored(sealing)
    assert (row["fingerprint"], await remembered(sealing)) == ("browser", None)


async def test_an_answer_that_comes_after_a_newer_sign_in_does_not_replace_it(
    sealing: World, database: asyncpg.Connection, outside: Outside
) -> None:
    other: dict[str, Any] = RIGHT | {"email": "other@gym.example"}
    enrol(sealing, "other@gym.example")
    inject_fault(sealing, "slow", LOGIN, seconds=LATE_S)
    asking = asyncio.create_task(post(sealing, REMEMBER))
    await at_gym(sealing, LOGIN)
    async with open_world(database, *outside, beside=True, sweep_seconds=0, session_encryption_keys=KEY) as second:
        assert (await post(second, other)).status_code == 200
    late = await asking
    for found in (late.json(), await told(sealing)):
        assert (found["account_email"], found["remembered"]) == ("other@gym.example", False)


async def test_one_that_failed_leaves_a_slower_earlier_one_its_place(sealing: World) -> None:
    inject_fault(sealing, "slow", LOGIN, seconds=LATE_S)
    asking = asyncio.create_task(post(sealing, REMEMBER))
    await at_gym(sealing, LOGIN)
    assert (await post(sealing, WRONG)).status_code == 422
    assert (await asking).status_code == 200
    assert await is_signed_in(sealing)
    await until(lambda: not sealing.services.effects._under_way)
