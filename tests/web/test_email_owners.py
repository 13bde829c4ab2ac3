"""Whose e-mail it is: the first account's that comes with it, whoever is given the address later."""

import asyncio
import base64
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs
from tests.support.world import Outside, World, open_world

from prebooking.adapters.supabase.rpc import open_rpc
from prebooking_local.supabase import Fault

ANA, NEW = "ana@example.com", "ana.new@example.com"
FIRST, SECOND = str(uuid4()), str(uuid4())
SOON = datetime.now(UTC) + timedelta(hours=5)


def token(world: World, sub: str, email: str = ANA, **changed: Any) -> dict[str, str]:
    auth = world.gateway.auth
    return {"Authorization": "Bearer " + auth._tokens.issue(auth._members[ANA], "s", sub=sub, email=email, **changed)}


async def listed(world: World, headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = await world.http.get("/prebookings", headers=headers)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["prebookings"]
    return rows


async def create(world: World, headers: dict[str, str], **data: Any) -> httpx.Response:
    return await world.http.post("/prebookings", headers=headers, json=world.wish(SOON, **data))


async def release(world: World, email: str = ANA) -> dict[str, Any]:
    """As `prebooking release-email` does."""
    async with open_rpc(world.gateway.url, world.gateway.secret_key, "release-email") as rpc:
        return await rpc.call("release_email", email=email)


async def test_another_account_with_the_e_mail_is_refused_everywhere_and_told_what_to_do(sweepless: World) -> None:
    await sweepless.member(ANA)
    row = (await create(sweepless, token(sweepless, FIRST))).json()
    other = token(sweepless, SECOND)
    for method, path in (
        *(
            ("GET", path)
            for path in ("/prebookings", f"/prebookings/{row['id']}", "/session", "/boxes", "/prebookings/events")
        ),
        *(("DELETE", path) for path in (f"/prebookings/{row['id']}", "/session")),
    ):
        refused = await sweepless.http.request(method, path, headers=other)
        assert (refused.status_code, refused.json()["code"]) == (403, "email-taken"), path
        assert f"prebooking release-email {ANA}" in refused.json()["detail"]
    assert (await create(sweepless, other, class_id=502)).status_code == 403
    assert await listed(sweepless, token(sweepless, FIRST)) == [row]


async def test_the_service_key_speaks_for_an_e_mail_as_ever(sweepless: World) -> None:
    by_key = await sweepless.prebook(ANA, SOON)
    assert await listed(sweepless, token(sweepless, FIRST)) == [by_key]
    assert (await sweepless.prebook(ANA, SOON, class_id=502))["user_email"] == ANA
    assert len(await listed(sweepless, token(sweepless, FIRST))) == 2


async def test_who_changes_their_e_mail_keeps_all_that_is_theirs(sweepless: World) -> None:
    await sweepless.member(ANA)
    first, moved = token(sweepless, FIRST), token(sweepless, FIRST, NEW)
    key = {"Idempotency-Key": "key"}
    row = (await create(sweepless, first | key)).json()

    (shown,) = await listed(sweepless, moved)
    assert (shown["id"], shown["user_email"], shown["status"]) == (row["id"], NEW, "pending")
    assert (await sweepless.http.get("/session", headers=moved)).json()["connected"] is True
    assert (await create(sweepless, moved | key)).json()["id"] == row["id"]  # the key is its request's
    assert (await create(sweepless, moved)).status_code == 200  # so is the wish
    assert [one["id"] for one in await listed(sweepless, first)] == [row["id"]]  # the older token, while it lives
    cancelled = await sweepless.http.delete(f"/prebookings/{row['id']}", headers=moved)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert await sweepless.database.fetchval(
        "select count(*) from public.auth_sessions where lower(user_email) = $1", NEW
    )


async def test_the_address_that_was_left_is_empty_for_who_is_given_it(sweepless: World) -> None:
    await sweepless.member(ANA)
    await create(sweepless, token(sweepless, FIRST))
    await listed(sweepless, token(sweepless, FIRST, NEW))

    second = token(sweepless, SECOND)
    assert await listed(sweepless, second) == []
    assert (await sweepless.http.get("/session", headers=second)).json()["connected"] is False
    theirs = (await create(sweepless, second)).json()
    assert [row["id"] for row in await listed(sweepless, second)] == [theirs["id"]]
    assert len(await listed(sweepless, token(sweepless, FIRST, NEW))) == 1


async def test_an_e_mail_that_another_has_can_not_be_moved_to(sweepless: World) -> None:
    row = (await create(sweepless, token(sweepless, FIRST))).json()
    await create(sweepless, token(sweepless, SECOND, NEW))
    assert (await create(sweepless, token(sweepless, FIRST, NEW))).status_code == 403
    assert await listed(sweepless, token(sweepless, FIRST)) == [row]


async def test_a_moved_session_books_though_it_is_encrypted(database: asyncpg.Connection, outside: Outside) -> None:
    key = base64.b64encode(b"k" * 32).decode()
    async with open_world(database, *outside, session_encryption_keys=[key]) as world:
        await world.member(ANA)
        kept = world.gym.accounts.stored_session(ANA, world.gym.site.clock())
        body = {"cookies": kept.cookies(), "token": kept.token, "fingerprint": "fp"}
        connected = await world.http.put("/session", headers=token(world, FIRST), json=body)
        assert connected.status_code == 200, connected.text
        moved = token(world, FIRST, NEW)
        assert (await world.http.get("/session", headers=moved)).json()["alive"] is True
        opens = world.open_class()
        row = (await world.http.post("/prebookings", headers=moved, json=world.wish(opens))).json()
        assert (await world.finished(NEW, row["id"]))["result"]["outcome"] == "booked"


async def test_of_two_accounts_at_once_exactly_one_owns(sweepless: World) -> None:
    subs = [str(uuid4()) for _ in range(8)]
    email = f"{uuid4().hex}@example.com"
    answers = await asyncio.gather(
        *(sweepless.http.get("/prebookings", headers=token(sweepless, sub, email)) for sub in subs * 2)
    )
    codes = [answer.status_code for answer in answers]
    assert sorted(codes) == [200] * 2 + [403] * 14
    assert codes[:8] == codes[8:]


async def test_without_the_database_nobody_is_taken_for_anybody(sweepless: World) -> None:
    sweepless.gateway.faults.set(Fault(kind="drop", function="own_email", times=None))
    refused = await sweepless.http.get("/prebookings", headers=token(sweepless, FIRST))
    assert (refused.status_code, refused.json()["code"]) == (503, "database-unavailable")
    sweepless.gateway.faults.set()
    assert await listed(sweepless, token(sweepless, FIRST)) == []


async def test_it_is_asked_once_a_token(sweepless: World) -> None:
    first = token(sweepless, FIRST)
    sweepless.gateway.faults.set(Fault(kind="delay", function="own_email", times=100))
    await asyncio.gather(*(listed(sweepless, first) for _ in range(10)))
    await listed(sweepless, first)
    assert sweepless.gateway.faults.active[0].times == 99


async def test_a_released_e_mail_is_free_and_nothing_of_it_books(sweepless: World) -> None:
    await sweepless.member(ANA)
    first, second = token(sweepless, FIRST, iat=int(time.time()) - 5), token(sweepless, SECOND)
    row = (await create(sweepless, first)).json()
    begun = (await create(sweepless, first, class_id=502)).json()
    held = (await create(sweepless, first, class_id=503)).json()
    executing = "update public.prebookings set status = 'executing', claim_token = $2, lease_until = now()"
    await sweepless.database.execute(f"{executing} where id = $1", held["id"], uuid4())
    await sweepless.database.execute(
        f"{executing}, booking_started_at = now(), begun_token = $2 where id = $1", begun["id"], uuid4()
    )
    assert (await sweepless.http.get("/prebookings", headers=second)).status_code == 403

    done = await release(sweepless)
    assert {name: done[name] for name in ("owned", "ended", "begun", "sessions")} == {
        "owned": True,
        "ended": 2,
        "begun": 1,
        "sessions": 1,
    }
    for ended in (row, held):
        now = await sweepless.read(ANA, ended["id"])
        assert (now["status"], "released" in now["error_message"]) == ("cancelled", True)
    assert (await sweepless.read(ANA, begun["id"]))["status"] == "executing"
    assert await sweepless.database.fetchval("select count(*) from public.auth_sessions") == 0

    assert await listed(sweepless, second) == []  # nor the former owner's history
    assert (await release(sweepless, "nobody@example.com"))["owned"] is False


async def test_a_token_from_before_the_release_does_not_take_the_e_mail_back(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, sweep_seconds=0) as world:
        old, new = token(world, FIRST, iat=int(time.time()) - 5), token(world, FIRST, iat=int(time.time()) + 20)
        await create(world, old)
        await release(world)
    async with open_world(database, *outside, sweep_seconds=0) as world:
        with capture_logs() as logs:
            refused = await world.http.get("/prebookings", headers=old)
        assert (refused.status_code, "sign in again" in refused.json()["detail"]) == (401, True)
        assert [line["check"] for line in logs if line["event"] == "token_refused"] == ["owner"]
        assert len(await listed(world, new)) == 1  # its own history


@pytest.mark.parametrize("sub", ["x" * 256, "a\nb", ""])
async def test_an_account_that_is_none_is_refused(sweepless: World, sub: str) -> None:
    assert (await sweepless.http.get("/prebookings", headers=token(sweepless, sub))).status_code == 401
