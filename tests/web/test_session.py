"""A user connects a session, asks how it is and disconnects it; no answer shows a secret."""

import json
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.executions import ANA, REFRESH, WHOAMI, inject_fault, prebook_open_class, ran
from tests.support.world import Outside, World, open_world

from prebooking_local.aimharder import Member
from prebooking_local.supabase import Fault

KEY, NEXT_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6eno="
BEA = "bea@example.com"


def signed_in(world: World, email: str = ANA) -> dict[str, Any]:
    """What the user's browser has after a sign-in at AimHarder."""
    world.gym.accounts.put_member(Member(email=email))
    session = world.gym.accounts.stored_session(email, world.gym.site.clock())
    return {"cookies": session.cookies(), "token": session.token, "fingerprint": session.fingerprint}


async def put(world: World, session: dict[str, Any], email: str = ANA) -> httpx.Response:
    return await world.http.put("/session", headers=world.speaking_for(email), json=session)


async def get(world: World, email: str = ANA) -> dict[str, Any]:
    answer = await world.http.get("/session", headers=world.speaking_for(email))
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def delete(world: World, email: str = ANA) -> int:
    return (await world.http.delete("/session", headers=world.speaking_for(email))).status_code


async def stored(world: World) -> list[dict[str, Any]]:
    return [dict(row) for row in await world.database.fetch("select * from public.auth_sessions order by created_at")]


async def test_a_living_session_is_stored_and_books(sweepless: World) -> None:
    answer = await put(sweepless, signed_in(sweepless))
    assert (answer.status_code, set(answer.json()), answer.json()["alive"]) == (200, {"alive", "checked_at"}, True)
    _, row = await ran(sweepless, await sweepless.prebook(ANA, sweepless.open_class()))
    assert row["result"]["outcome"] == "booked"


async def test_its_state_is_told_and_none_of_its_secrets(sweepless: World) -> None:
    nothing = {"connected": False, "alive": False, "since": None, "refreshed_at": None, "session_type": None}
    nothing |= {"account_email": None, "remembered": False}
    assert await get(sweepless) == nothing
    session = signed_in(sweepless)
    connected = await put(sweepless, session)
    told = await get(sweepless)
    assert (told["connected"], told["alive"], told["session_type"]) == (True, True, "background")
    assert told["since"] == told["refreshed_at"]
    secrets = [session["token"], session["fingerprint"], *(cookie["value"] for cookie in session["cookies"])]
    assert not [secret for secret in secrets if secret in connected.text + json.dumps(told)]
    assert await get(sweepless, BEA) == nothing


async def test_another_takes_its_place(sweepless: World) -> None:
    await put(sweepless, signed_in(sweepless))
    newer = signed_in(sweepless)
    assert (await put(sweepless, newer)).status_code == 200
    (row,) = await stored(sweepless)
    assert (row["aimharder_token"], json.loads(row["aimharder_cookies"])) == (newer["token"], newer["cookies"])


async def test_a_dead_session_is_refused_and_the_earlier_one_stays(sweepless: World) -> None:
    await put(sweepless, signed_in(sweepless))
    before = await stored(sweepless)
    dead = signed_in(sweepless)
    dead["cookies"][0]["value"] = "0" * 64
    answer = await put(sweepless, dead)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert answer.json()["errors"][0]["field"] == "cookies"
    assert "sign in there again" in answer.json()["detail"]
    assert await stored(sweepless) == before


@pytest.mark.parametrize("kind", ["status", "login_page", "empty", "reset", "redirect", "truncated"])
async def test_where_aimharder_is_silent_nothing_is_stored_and_nothing_claimed(sweepless: World, kind: str) -> None:
    session = signed_in(sweepless)
    inject_fault(sweepless, kind, WHOAMI, status=500)
    answer = await put(sweepless, session)
    assert (answer.status_code, answer.json()["code"]) == (503, "gym-unreachable")
    assert answer.headers["retry-after"] == "5"
    assert not await stored(sweepless)

    assert (await put(sweepless, session)).status_code == 200
    inject_fault(sweepless, kind, WHOAMI, status=500)
    told = await get(sweepless)
    assert (told["connected"], told["alive"]) == (True, None)


async def test_one_that_ended_is_refreshed_as_before_a_booking_else_told_dead(sweepless: World) -> None:
    await put(sweepless, signed_in(sweepless))
    before = await get(sweepless)
    inject_fault(sweepless, "logout", WHOAMI)
    told = await get(sweepless)
    assert told["alive"] is True
    assert told["refreshed_at"] > before["refreshed_at"]
    assert told["since"] == before["since"]
    assert len(sweepless.gym.ledger.of(REFRESH)) == 1
    sweepless.gym.accounts.kill(ANA, sweepless.gym.site.clock())
    assert (await get(sweepless))["alive"] is False


async def test_disconnecting_forgets_it_and_leaves_the_devices(sweepless: World) -> None:
    await put(sweepless, signed_in(sweepless))
    await sweepless.database.execute(
        "insert into public.auth_sessions (user_email, aimharder_token, aimharder_cookies, fingerprint, session_type)"
        " values ($1, 'x', '[]', 'phone', 'device')",
        ANA,
    )
    assert [await delete(sweepless), await delete(sweepless)] == [204, 204]
    assert [row["session_type"] for row in await stored(sweepless)] == ["device"]
    assert (await get(sweepless))["session_type"] == "device"


@pytest.mark.parametrize("email", [ANA, BEA])
async def test_only_the_users_own_session_is_touched(sweepless: World, email: str) -> None:
    for user in (ANA, BEA):
        await put(sweepless, signed_in(sweepless, user), user)
    await delete(sweepless, email)
    assert [row["user_email"] for row in await stored(sweepless)] == [BEA if email == ANA else ANA]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_nobody_is_told_anything(sweepless: World, method: str) -> None:
    answer = await sweepless.http.request(method, "/session")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


GOOD = {"cookies": [{"name": "amhrdrauth", "value": "x"}], "token": "t", "fingerprint": "f"}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"cookies": []}, "cookies"),
    ({"cookies": None}, "cookies"),
    ({"cookies": [{"name": "a", "value": "hush"}] * 51}, "cookies"),
    ({"cookies": [{"name": "a", "value": "hush"}, {"name": "a", "value": "hush"}]}, "cookies"),
    *(
        ({"cookies": [{"name": name, "value": "hush"}]}, "cookies.0.name")
        for name in ("", "a b", "a=b", "a;b", "a\r\nX-Evil: 1", "ñ", "a\n", "a" * 129, None)
    ),
    *(
        ({"cookies": [{"name": "a", "value": value}]}, "cookies.0.value")
        for value in ("hush; b=c", "hush\r\nX-Evil: 1", "hush\n", "hush\0", "hushñ", "hush\x7f", "hush" * 1025, 3)
    ),
    *(({"token": token}, "token") for token in ("", "hush hush", "hush\n", "hush\0", "hushñ", "hush" * 1025, None)),
    *(({"fingerprint": of}, "fingerprint") for of in ("", "hush hush", "hush\n", "hush" * 13, ["hush"])),
]


async def test_what_can_be_no_session_is_refused_by_field_unasked_and_unquoted(sweepless: World) -> None:
    for changed, field in WRONG:
        answer = await put(sweepless, GOOD | changed)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), changed
        assert [error["field"] for error in answer.json()["errors"]] == [field], changed
        assert "hush" not in answer.text
    assert not sweepless.gym.ledger.entries
    assert not await stored(sweepless)


async def test_a_body_of_more_than_16_kib_is_too_large(sweepless: World) -> None:
    answer = await put(sweepless, GOOD | {"cookies": [{"name": f"c{n}", "value": "x" * 4000} for n in range(5)]})
    assert answer.status_code == 413


async def test_who_asks_too_often_is_told_when_to_come_back_and_aimharder_is_left_alone(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, max_session_checks_per_minute=3) as world:
        session = signed_in(world)
        assert (await put(world, GOOD)).status_code == 422  # a dead one counts too
        assert (await put(world, session)).status_code == 200
        assert (await get(world))["alive"] is True
        asked = len(world.gym.ledger.entries)
        looked = await world.http.get("/session", headers=world.speaking_for(ANA))
        for answer in (looked, await put(world, signed_in(world))):
            assert (answer.status_code, answer.json()["code"]) == (429, "too-many")
            wait_s = answer.headers["retry-after"]
            assert 1 <= int(wait_s) <= 60
            assert answer.json()["detail"] == (
                f"Your AimHarder session was checked 3 times within a minute, the maximum: try again in {wait_s} s."
            )
        assert len(world.gym.ledger.entries) == asked
        assert (await stored(world))[0]["aimharder_token"] == session["token"]
        assert (await get(world, BEA))["connected"] is False  # for which nobody is asked
        assert (await put(world, signed_in(world, BEA), BEA)).status_code == 200


async def test_without_a_database_it_says_so(sweepless: World) -> None:
    session = signed_in(sweepless)
    sweepless.gateway.faults.set(Fault(kind="unavailable", function="connect_session", times=None))
    answer = await put(sweepless, session)
    assert (answer.status_code, answer.json()["code"]) == (503, "database-unavailable")


async def test_with_keys_nothing_is_stored_in_the_clear_and_it_books(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, session_encryption_keys=KEY) as world:
        session = signed_in(world)
        assert (await put(world, session)).status_code == 200
        (row,) = await stored(world)
        assert row["aimharder_token"].startswith("enc:v1:")
        assert json.loads(row["aimharder_cookies"]).startswith("enc:v1:")
        secrets = [session["token"], *(cookie["value"] for cookie in session["cookies"])]
        assert not [secret for secret in secrets if secret in str(row)]
        assert (await get(world))["alive"] is True
        inject_fault(world, "logout", WHOAMI)
        _, booked = await ran(world, await world.prebook(ANA, world.open_class()))
        assert booked["result"]["outcome"] == "booked"
        (refreshed,) = await stored(world)
        assert refreshed["aimharder_token"].startswith("enc:v1:")
        assert refreshed["aimharder_token"] != row["aimharder_token"]


async def test_replicas_switch_encryption_on_one_by_one_and_each_books(
    database: asyncpg.Connection, outside: Outside
) -> None:
    """First all learn to read, then all write: a session is read by whoever still or already has the other setting."""
    stages = ("", f"plain,{KEY}", KEY)
    for before, after in ((stages[0], stages[1]), (stages[1], stages[2])):
        async with (
            open_world(database, *outside, sweep_seconds=0, session_encryption_keys=before) as old,
            open_world(database, *outside, beside=True, sweep_seconds=0, session_encryption_keys=after) as new,
        ):
            for writes, reads in ((old, new), (new, old)):
                assert (await put(writes, signed_in(writes))).status_code == 200
                assert (await get(reads))["alive"] is True
    (row,) = await stored(new)
    assert row["aimharder_token"].startswith("enc:v1:")


async def test_a_plain_row_is_read_and_encrypted_at_its_next_refresh(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, session_encryption_keys=f"{KEY},{NEXT_KEY}") as world:
        inject_fault(world, "logout", WHOAMI)
        _, booked = await ran(world, await prebook_open_class(world))
        assert booked["result"]["outcome"] == "booked"
        (row,) = await stored(world)
        assert row["aimharder_token"].startswith("enc:v1:")
        assert json.loads(row["aimharder_cookies"]).startswith("enc:v1:")
        assert row["token_update_count"] == 1


async def test_a_value_swapped_from_another_row_or_without_its_key_is_no_session(
    database: asyncpg.Connection, outside: Outside, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, session_encryption_keys=KEY) as world:
        for user in (ANA, BEA):
            await put(world, signed_in(world, user), user)
        await database.execute(
            "update public.auth_sessions a set aimharder_token = b.aimharder_token,"
            " aimharder_cookies = b.aimharder_cookies from public.auth_sessions b"
            " where a.user_email = $1 and b.user_email = $2",
            BEA,
            ANA,
        )
        asked = len(world.gym.ledger.entries)
        assert (await get(world, BEA))["alive"] is False
        assert "sealed for another user or field" in capsys.readouterr().out
        prebooked = await world.prebook(BEA, world.open_class())
        row = await world.finished(BEA, prebooked["id"])
        assert row["error_code"] == "session_expired"
        assert len(world.gym.ledger.entries) == asked
    async with open_world(database, *outside, beside=True, sweep_seconds=0, session_encryption_keys=NEXT_KEY) as world:
        assert (await get(world))["alive"] is False
        assert "which SESSION_ENCRYPTION_KEYS lacks" in capsys.readouterr().out
