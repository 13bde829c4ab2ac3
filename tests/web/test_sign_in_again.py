"""A session that dies is signed in again with the remembered password, in time, once, and never with a refused one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from tests.support.executions import ANA, LOGIN, REFRESH, WHOAMI, at_gym, bookings_asked, inject_fault, ran
from tests.support.webhook_receiver import Receiver
from tests.support.world import Outside, World, open_world
from tests.web.signing_in import ACCOUNT, KEY, RIGHT, WRONG, enrol, logins, post, remembered, stored, told
from tests.web.test_session_watch import time_passes, token_is_old, waiting

from prebooking_local.aimharder import SessionRules

REMEMBER = RIGHT | {"remember": True}
LATE_S = 1.0


@pytest.fixture
async def keeping(
    database: asyncpg.Connection, outside: Outside, webhook: Receiver, request: pytest.FixtureRequest
) -> AsyncIterator[World]:
    """Ana has signed in, and her password is remembered. Chores are done when the test says so."""
    settings: dict[str, Any] = {"sweep_seconds": 0, "session_encryption_keys": KEY} | getattr(request, "param", {})
    async with open_world(database, *outside, **webhook.settings | settings) as world:
        enrol(world)
        assert (await post(world, REMEMBER)).status_code == 200
        forget_requests(world)
        yield world


def forget_requests(world: World) -> None:
    world.gym.ledger.entries.clear()


def kill_session(world: World, email: str = ACCOUNT) -> None:
    world.gym.accounts.kill(email, world.gym.site.clock())


def change_password(world: World) -> None:
    enrol(world, password="another one")
    kill_session(world)


async def warning_of(world: World, row: dict[str, Any]) -> Any:
    return (await world.read(ANA, row["id"]))["warning"]


# ---- in the looks


async def test_a_session_that_dies_in_the_last_hour_is_signed_in_again_and_books(
    keeping: World, webhook: Receiver
) -> None:
    row = await waiting(keeping, 1790)
    kill_session(keeping)
    await keeping.services.background_tasks.once()
    assert (await warning_of(keeping, row), len(logins(keeping)), webhook.received) == (None, 1, [])
    assert (await told(keeping))["remembered"] is True
    _, booked = await ran(keeping, await keeping.prebook(ANA, keeping.open_class(class_id=502), id=502))
    assert booked["result"]["outcome"] == "booked"
    assert len(logins(keeping)) == 1
    first, again = (await stored(keeping))[0]["fingerprint"], logins(keeping)[0]["fingerprint"]
    assert first == again


async def test_replicas_sign_each_member_in_once(keeping: World, outside: Outside) -> None:
    members = [f"member{n}@example.com" for n in range(10)]
    for n, email in enumerate(members):
        enrol(keeping, email)
        assert (await post(keeping, REMEMBER | {"email": email}, email)).status_code == 200
        await keeping.prebook(email, keeping.open_class(1790, class_id=600 + n), id=600 + n)
        kill_session(keeping, email)
    forget_requests(keeping)
    async with open_world(
        keeping.database, *outside, beside=True, sweep_seconds=0, session_encryption_keys=KEY
    ) as second:
        await asyncio.gather(keeping.services.background_tasks.once(), second.services.background_tasks.once())
    assert sorted(one["username"] for one in logins(keeping)) == members
    assert await keeping.database.fetchval("select count(*) from public.prebookings where warning is not null") == 0
    assert all([(await told(keeping, email))["alive"] for email in members])


async def test_who_is_not_remembered_is_told_as_ever(keeping: World, webhook: Receiver) -> None:
    assert (await post(keeping, RIGHT)).status_code == 200
    row = await waiting(keeping, 1790)
    kill_session(keeping)
    await keeping.services.background_tasks.once()
    await webhook.wait_for(1)
    assert set(await warning_of(keeping, row)) == {"code", "message", "since"}
    assert len(logins(keeping)) == 1  # the one of the person


async def test_a_refused_password_is_forgotten_told_with_the_reason_and_never_tried_again(
    keeping: World, webhook: Receiver
) -> None:
    row = await waiting(keeping, 1790)
    change_password(keeping)
    await keeping.services.background_tasks.once()
    warning = await warning_of(keeping, row)
    assert (warning["code"], warning["reason"]) == ("session_expired", "password_refused")
    assert "password" in warning["message"]
    (notice,) = await webhook.wait_for(1)
    assert notice["type"] == "session.dead"
    assert "refuses the password" in notice["text"]
    assert await remembered(keeping) is None
    assert (await told(keeping))["remembered"] is False

    await time_passes(keeping, 1500)
    await keeping.services.background_tasks.once()
    assert await warning_of(keeping, row) == warning
    other = await keeping.prebook(ANA, keeping.open_class(class_id=502), id=502)
    failed = await keeping.finished(ANA, other["id"])
    assert failed["error_code"] == "session_expired"
    assert "refuses your password" in failed["error_message"]
    assert (len(logins(keeping)), sum(one["type"] == "session.dead" for one in webhook.received)) == (1, 1)

    assert (await post(keeping, REMEMBER | {"password": "another one"})).status_code == 200
    assert await warning_of(keeping, row) is None


@pytest.mark.parametrize("kind", ["status", "login_page", "reset", "empty"])
async def test_where_the_login_is_silent_the_password_is_kept_and_tried_at_the_next_look(
    keeping: World, webhook: Receiver, kind: str
) -> None:
    row = await waiting(keeping, 1790)
    kill_session(keeping)
    inject_fault(keeping, kind, LOGIN, status=403, times=None)
    for _ in range(3):
        await keeping.services.background_tasks.once()
        await time_passes(keeping, 61)
    assert len(logins(keeping)) == 1  # a look
    await webhook.wait_for(1)
    warning = await warning_of(keeping, row)
    assert "reason" not in warning
    keeping.gym.faults.clear()
    await time_passes(keeping, 1400)
    await keeping.services.background_tasks.once()
    assert (await warning_of(keeping, row), len(logins(keeping))) == (None, 2)


async def test_a_locked_account_is_no_refused_password(keeping: World) -> None:
    keeping.gym.accounts.rules = SessionRules(lock_after=1)
    keeping.gym.accounts.log_in(ACCOUNT, "wrong", "x", keeping.gym.site.clock())
    row = await waiting(keeping, 1790)
    kill_session(keeping)
    await keeping.services.background_tasks.once()
    assert "reason" not in await warning_of(keeping, row)
    assert await remembered(keeping)


@pytest.mark.parametrize("kind", ["status", "logout"])
async def test_one_that_lives_and_can_not_be_refreshed_is_signed_in_again(keeping: World, kind: str) -> None:
    await waiting(keeping, 1790)
    await token_is_old(keeping)
    inject_fault(keeping, kind, REFRESH, status=404, times=None)
    await keeping.services.background_tasks.once()
    assert len(logins(keeping)) == 1
    (session,) = await stored(keeping)
    assert session["last_token_update_date"]
    await time_passes(keeping, 1500)
    await keeping.services.background_tasks.once()
    assert len(logins(keeping)) == 1  # young enough


async def test_five_wrong_tries_of_a_stranger_leave_the_members_own_sign_in_its_allowance(keeping: World) -> None:
    for _ in range(5):
        await post(keeping, WRONG, "stranger@example.com")
    assert (await post(keeping, RIGHT)).status_code == 429
    row = await waiting(keeping, 1790)
    kill_session(keeping)
    await keeping.services.background_tasks.once()
    assert (await warning_of(keeping, row), (await told(keeping))["alive"]) == (None, True)


async def test_more_than_three_of_our_own_within_15_minutes_there_are_not(keeping: World) -> None:
    for n in range(5):
        await keeping.prebook(ANA, keeping.open_class(1790, class_id=600 + n), id=600 + n)
        kill_session(keeping)
        await keeping.services.background_tasks.once()
    assert len(logins(keeping)) == 3
    assert await remembered(keeping)


async def test_a_password_that_can_not_be_decrypted_is_as_good_as_none(keeping: World) -> None:
    await keeping.database.execute("update prebooking.accounts set password = 'enc:v1:00000000:YQ=='")
    row = await waiting(keeping, 1790)
    kill_session(keeping)
    await keeping.services.background_tasks.once()
    assert (await warning_of(keeping, row))["code"] == "session_expired"
    assert logins(keeping) == []


UNREADABLE = {
    "its key is lost": ("enc:v1:00000000:YQ==", '"enc:v1:00000000:YQ=="'),
    "its cookies' key is lost": (None, '"enc:v1:00000000:YQ=="'),
    "its cookies are missing": (None, "null"),
    "its cookies are none": (None, "[]"),
}


async def can_not_be_read(world: World, how: str) -> None:
    await world.database.execute(
        "update public.auth_sessions set aimharder_token = coalesce($1, aimharder_token), aimharder_cookies = $2",
        *UNREADABLE[how],
    )


@pytest.mark.parametrize("how", UNREADABLE)
async def test_a_session_that_can_not_be_read_is_signed_in_again_by_the_look(
    keeping: World, webhook: Receiver, how: str
) -> None:
    row = await waiting(keeping, 1790)
    await can_not_be_read(keeping, how)
    assert ((await told(keeping))["alive"], (await told(keeping))["remembered"]) == (False, True)
    await keeping.services.background_tasks.once()
    assert (await warning_of(keeping, row), len(logins(keeping)), webhook.received) == (None, 1, [])
    assert ((await told(keeping))["alive"], (await told(keeping))["remembered"]) == (True, True)


async def test_two_replicas_that_can_not_read_it_sign_in_once(keeping: World, outside: Outside) -> None:
    await waiting(keeping, 1790)
    second_row = await keeping.prebook(ANA, keeping.open_class(4, class_id=502), id=502)
    await can_not_be_read(keeping, "its key is lost")
    async with open_world(
        keeping.database, *outside, beside=True, sweep_seconds=0, session_encryption_keys=KEY
    ) as second:
        _, row = await asyncio.gather(second.services.background_tasks.once(), keeping.finished(ANA, second_row["id"]))
    assert row["result"]["outcome"] == "booked"
    assert len(logins(keeping)) == 1


async def test_while_making_ready_one_that_can_not_be_read_is_signed_in_again_and_books(keeping: World) -> None:
    row = await waiting(keeping, 4)
    await can_not_be_read(keeping, "its key is lost")
    row = await keeping.finished(ANA, row["id"])
    assert row["result"]["outcome"] == "booked"
    assert (len(logins(keeping)), len(keeping.gym.ledger.of(REFRESH)), len(bookings_asked(keeping))) == (1, 0, 1)


async def test_one_that_can_not_be_read_and_is_not_remembered_is_told(keeping: World, webhook: Receiver) -> None:
    assert (await post(keeping, RIGHT)).status_code == 200
    row = await waiting(keeping, 1790)
    await can_not_be_read(keeping, "its key is lost")
    await keeping.services.background_tasks.once()
    await webhook.wait_for(1)
    assert (await warning_of(keeping, row))["code"] == "session_expired"
    assert len(keeping.gym.ledger.of(WHOAMI)) == 1  # the sign-in's own


# ---- what is newer


async def look_while(keeping: World, meanwhile: Any) -> dict[str, Any]:
    """A look whose login takes long."""
    row = await waiting(keeping, 1790)
    kill_session(keeping)
    inject_fault(keeping, "slow", LOGIN, seconds=LATE_S)
    looking = asyncio.create_task(keeping.services.background_tasks.once())
    await at_gym(keeping, LOGIN)
    await meanwhile
    await looking
    await keeping.services.effects.wait_idle()
    return row


async def test_an_answer_that_comes_after_a_disconnect_brings_nothing_back(keeping: World) -> None:
    await look_while(keeping, keeping.http.delete("/session", headers=keeping.speaking_for(ANA)))
    assert (await stored(keeping), await remembered(keeping)) == ([], None)


async def test_a_refusal_that_comes_after_a_newer_sign_in_does_not_forget_its_password(keeping: World) -> None:
    enrol(keeping, password="another one")
    row = await look_while(keeping, post(keeping, REMEMBER | {"password": "another one"}))
    assert await remembered(keeping)
    assert ((await told(keeping))["alive"], (await told(keeping))["remembered"]) == (True, True)
    await keeping.services.background_tasks.once()
    assert await warning_of(keeping, row) is None


async def test_a_success_that_comes_after_a_newer_sign_in_does_not_replace_it(keeping: World) -> None:
    enrol(keeping, "other@gym.example")
    await look_while(keeping, post(keeping, RIGHT | {"email": "other@gym.example"}))
    found = await told(keeping)
    assert (found["account_email"], found["remembered"], found["alive"]) == ("other@gym.example", False, True)


# ---- while making ready, and after the opening


@pytest.mark.parametrize("keeping", [{"lead_seconds": 8, "max_duration_seconds": 15}], indirect=True, ids=["8 s"])
async def test_while_making_ready_with_time_left_the_request_waits_for_it(keeping: World) -> None:
    row = await waiting(keeping, 9)
    kill_session(keeping)
    row = await keeping.finished(ANA, row["id"])
    assert row["result"]["outcome"] == "booked"
    assert (len(logins(keeping)), len(bookings_asked(keeping))) == (1, 1)
    signed_in = keeping.gym.ledger.of(LOGIN)[0].request.first_byte_ns / 1e9
    assert signed_in < datetime.fromisoformat(row["available_at"]).timestamp()


async def test_of_two_that_open_at_once_one_signs_in_and_both_book(keeping: World) -> None:
    opens_at = keeping.open_class(4)
    keeping.open_class(4, class_id=502, day=keeping.day(opens_at + timedelta(days=1)))
    rows = [
        await keeping.prebook(ANA, opens_at),
        await keeping.prebook(ANA, opens_at, id=502, day=keeping.day(opens_at + timedelta(days=1))),
    ]
    kill_session(keeping)
    ended = [await keeping.finished(ANA, row["id"]) for row in rows]
    assert [row["result"]["outcome"] for row in ended] == ["booked", "booked"]
    assert len(logins(keeping)) == 1


async def test_a_sign_in_that_takes_too_long_lets_the_request_go_and_is_used_after_it(keeping: World) -> None:
    row = await waiting(keeping, 4)
    kill_session(keeping)
    inject_fault(keeping, "slow", LOGIN, seconds=3.5)
    row = await keeping.finished(ANA, row["id"])
    assert row["result"]["outcome"] == "booked"
    assert [shot["outcome"] for shot in row["result"]["timings"]["shots"]] == ["session_expired", "booked"]
    assert row["result"]["timings"]["fire_lateness_ms"] < 500
    assert len(logins(keeping)) == 1


async def test_with_less_than_two_seconds_left_it_comes_after_the_opening(keeping: World) -> None:
    kill_session(keeping)
    row = await keeping.finished(ANA, (await waiting(keeping, 1.5))["id"])
    assert row["result"]["outcome"] == "booked"
    signed_in = keeping.gym.ledger.of(LOGIN)[0].request.first_byte_ns / 1e9
    assert signed_in > datetime.fromisoformat(row["available_at"]).timestamp()
    assert len(logins(keeping)) == 1


async def test_one_that_dies_with_the_opening_is_signed_in_again_within_the_budget(keeping: World) -> None:
    opens_at = keeping.open_class(3)
    row = await keeping.prebook(ANA, opens_at)
    keeping.gym.accounts.kill(ACCOUNT, int((opens_at - timedelta(seconds=0.1)).timestamp() * 1e9))
    row = await keeping.finished(ANA, row["id"])
    assert row["result"]["outcome"] == "booked"
    assert len(logins(keeping)) == 1
    assert datetime.now(UTC) - opens_at < timedelta(seconds=8)


async def test_a_password_that_is_refused_while_making_ready_ends_the_row_with_the_reason(keeping: World) -> None:
    row = await waiting(keeping, 4)
    change_password(keeping)
    row = await keeping.finished(ANA, row["id"])
    assert (row["error_code"], len(logins(keeping))) == ("session_expired", 1)
    assert "refuses your password" in row["error_message"]
    assert await remembered(keeping) is None


async def test_a_living_session_is_not_signed_in_again(keeping: World) -> None:
    _, row = await ran(keeping, await keeping.prebook(ANA, keeping.open_class()))
    assert row["result"]["outcome"] == "booked"
    assert (logins(keeping), len(keeping.gym.ledger.of(WHOAMI))) == ([], 1)
