"""Idempotency-Key: a create or a retry whose answer was lost is sent again, and was done once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid5

import asyncpg
import httpx
import pytest
from tests.support.world import Outside, World, open_world

from prebooking.web.idempotency import _KEYS
from prebooking_local.supabase.faults import Fault

ANA, BEN = "ana@example.com", "ben@example.com"
SOON = datetime.now(UTC) + timedelta(hours=5)
FAILED = "status = 'failed', error_code = 'expired', executed_at = now()"
ENDS = (
    "status = 'completed', executed_at = now()",
    FAILED,
    "status = 'cancelled'",
    "status = 'executing', claim_token = gen_random_uuid(), lease_until = now() + interval '1 minute'",
)


async def post(world: World, path: str, key: str | None, body: Any = None, email: str = ANA) -> httpx.Response:
    headers = world.speaking_for(email) | ({"Idempotency-Key": key} if key else {})
    return await world.http.post(path, headers=headers, json=body)


async def put(world: World, row: dict[str, Any], state: str) -> dict[str, Any]:
    await world.database.execute(f"update public.prebookings set {state} where id = $1", row["id"])
    return await world.read(ANA, row["id"])


async def rows(world: World, email: str = ANA) -> list[dict[str, Any]]:
    answer = await world.http.get("/prebookings", headers=world.speaking_for(email))
    found: list[dict[str, Any]] = answer.json()["prebookings"]
    return found


async def test_a_create_sent_again_is_answered_with_its_row_whatever_became_of_it(
    sweepless: World, subtests: pytest.Subtests
) -> None:
    for class_id, state in enumerate(ENDS):
        with subtests.test(state=state):
            wish = sweepless.wish(SOON, class_id=class_id)
            row = (await post(sweepless, "/prebookings", f"key-{class_id}", wish)).json()
            now = await put(sweepless, row, state)

            again = await post(sweepless, "/prebookings", f"key-{class_id}", wish)
            assert (again.status_code, again.json()) == (201, now)
            assert len(sweepless.messages(row["id"])) == 1
    assert len(await rows(sweepless)) == len(ENDS)


async def test_without_a_key_or_with_a_new_one_a_wish_that_has_ended_is_made_anew(sweepless: World) -> None:
    wish = sweepless.wish(SOON)
    made = []
    for key in ("first", "second", None, None):
        row = (await post(sweepless, "/prebookings", key, wish)).json()
        await put(sweepless, row, "status = 'cancelled'")
        made.append(row["id"])
    assert len(set(made)) == 4


async def test_those_sent_at_one_instant_with_one_key_make_one_row_and_one_message(sweepless: World) -> None:
    wish = sweepless.wish(SOON)
    answers = await asyncio.gather(*(post(sweepless, "/prebookings", "key", wish) for _ in range(8)))

    assert [answer.status_code for answer in answers] == [201] * 8
    (row,) = await rows(sweepless)
    assert {answer.json()["id"] for answer in answers} == {row["id"]}
    assert len(sweepless.messages(row["id"])) == 1  # QStash knows them apart by their deduplication id


async def test_one_whose_message_could_not_be_ordered_has_it_ordered_when_sent_again(sweepless: World) -> None:
    wish = sweepless.wish(SOON)
    sweepless.qstash.qstash.faults.change({"api_status": 500})
    row = (await post(sweepless, "/prebookings", "key", wish)).json()
    assert row["qstash_schedule_id"] is None
    sweepless.qstash.qstash.faults.clear()

    again = (await post(sweepless, "/prebookings", "key", wish)).json()
    (message,) = sweepless.messages(row["id"])
    assert (again["id"], again["qstash_schedule_id"]) == (row["id"], message.id)


async def test_one_that_opens_elsewhere_by_now_is_refused_naming_it(sweepless: World) -> None:
    row = (await post(sweepless, "/prebookings", "key", sweepless.wish(SOON))).json()
    other = sweepless.wish(SOON) | {"available_at": (SOON + timedelta(hours=1)).isoformat()}

    refused = await post(sweepless, "/prebookings", "key", other)
    assert (refused.status_code, refused.json()["code"]) == (409, "prebooking-exists")
    assert refused.json()["prebooking_id"] == row["id"]


async def test_a_key_that_made_another_class_is_refused(sweepless: World) -> None:
    wish = sweepless.wish(SOON, class_id=1)
    await post(sweepless, "/prebookings", "key", wish)
    others = (
        sweepless.wish(SOON, class_id=2),
        sweepless.wish(SOON, class_id=1, familyId=9),
        sweepless.wish(SOON + timedelta(days=1), class_id=1),
        wish | {"box_subdomain": "othergym"},
    )
    for other in others:
        refused = await post(sweepless, "/prebookings", "key", other)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency-key-reused")
        assert [error["field"] for error in refused.json()["errors"]] == ["Idempotency-Key"]
    assert len(await rows(sweepless)) == 1


async def test_a_key_is_its_users_own(sweepless: World) -> None:
    wish = sweepless.wish(SOON)
    mine = await post(sweepless, "/prebookings", "key", wish)
    theirs = await post(sweepless, "/prebookings", "key", wish, BEN)
    same_user = await post(sweepless, "/prebookings", "key", wish, "Ana@Example.COM")

    assert (theirs.status_code, theirs.json()["user_email"]) == (201, BEN)
    assert same_user.json()["id"] == mine.json()["id"] != theirs.json()["id"]


async def test_a_key_that_is_none_is_refused_by_its_name(sweepless: World, subtests: pytest.Subtests) -> None:
    row = await put(sweepless, await sweepless.prebook(ANA, SOON, class_id=99), FAILED)
    for key in (b"with blank", b"x" * 256, "clé".encode(), b""):
        for path, body in (("/prebookings", sweepless.wish(SOON)), (f"/prebookings/{row['id']}/retry", None)):
            with subtests.test(key=key[:12], path=path):
                speaking = [(name.encode(), value.encode()) for name, value in sweepless.speaking_for(ANA).items()]
                headers = [*speaking, (b"Idempotency-Key", key)]
                refused = await sweepless.http.post(path, headers=headers, json=body)
                assert refused.status_code == 422
                fix = {
                    "field": "Idempotency-Key",
                    "message": "must be 1 to 255 visible ASCII characters, such as a UUID",
                }
                assert refused.json()["errors"] == [fix]
    assert len(await rows(sweepless)) == 1


async def test_a_retry_sent_again_is_one_retry_also_when_it_failed_again(sweepless: World) -> None:
    row = await put(sweepless, await sweepless.prebook(ANA, SOON), FAILED)
    path = f"/prebookings/{row['id']}/retry"
    first = await post(sweepless, path, "key")
    again = await post(sweepless, path, "key")
    assert (first.status_code, again.status_code, again.json()) == (200, 200, first.json())

    failed = await put(sweepless, row, FAILED)
    assert (await post(sweepless, path, "key")).json() == failed
    assert len(sweepless.messages(row["id"])) == 2

    assert (await post(sweepless, path, "another")).json()["version"] == failed["version"] + 1


async def test_a_retry_that_was_told_another_opening_is_refused_under_the_same_key(sweepless: World) -> None:
    row = await put(sweepless, await sweepless.prebook(ANA, SOON), FAILED)
    path = f"/prebookings/{row['id']}/retry"
    first, second = ({"available_at": (SOON + timedelta(hours=n)).isoformat()} for n in (1, 2))
    assert (await post(sweepless, path, "key", first)).status_code == 200
    refused = await post(sweepless, path, "key", second)
    assert (refused.status_code, refused.json()["code"]) == (409, "prebooking-exists")
    await put(sweepless, row, FAILED)
    refused = await post(sweepless, path, "key", second)
    assert [error["field"] for error in refused.json()["errors"]] == ["Idempotency-Key"]


async def test_a_lost_answer_of_the_database_leaves_one_row(sweepless: World) -> None:
    wish = sweepless.wish(SOON)
    sweepless.gateway.faults.set(Fault(kind="lose_answer", function="create_prebooking", times=None))
    lost = await post(sweepless, "/prebookings", "key", wish)
    assert lost.status_code == 503
    sweepless.gateway.faults.set()

    again = await post(sweepless, "/prebookings", "key", wish)
    assert again.status_code == 201
    assert [row["id"] for row in await rows(sweepless)] == [again.json()["id"]]


async def test_a_key_that_was_answered_with_a_row_there_was_is_its_requests_for_ever(sweepless: World) -> None:
    wish = sweepless.wish(SOON)
    row = (await post(sweepless, "/prebookings", None, wish)).json()
    first = await post(sweepless, "/prebookings", "key", wish)
    assert (first.status_code, first.json()["id"]) == (200, row["id"])
    cancelled = await sweepless.http.delete(f"/prebookings/{row['id']}", headers=sweepless.speaking_for(ANA))
    assert cancelled.json()["status"] == "cancelled"

    again = await post(sweepless, "/prebookings", "key", wish)
    assert (again.status_code, again.json()) == (200, cancelled.json())
    assert [one["id"] for one in await rows(sweepless)] == [row["id"]]
    other = await post(sweepless, "/prebookings", "key", sweepless.wish(SOON, class_id=2))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


async def test_a_key_that_was_refused_for_another_rows_sake_stays_so_when_that_is_cancelled(sweepless: World) -> None:
    row = (await post(sweepless, "/prebookings", None, sweepless.wish(SOON))).json()
    later = sweepless.wish(SOON) | {"available_at": (SOON + timedelta(hours=1)).isoformat()}
    for cancel in (True, False):
        refused = await post(sweepless, "/prebookings", "key", later)
        assert (refused.status_code, refused.json()["prebooking_id"]) == (409, row["id"])
        if cancel:
            await sweepless.http.delete(f"/prebookings/{row['id']}", headers=sweepless.speaking_for(ANA))
    assert len(await rows(sweepless)) == 1


async def test_a_retry_that_was_refused_for_another_rows_sake_stays_so(sweepless: World) -> None:
    failed = await put(sweepless, await sweepless.prebook(ANA, SOON), FAILED)
    other = await sweepless.prebook(ANA, SOON)
    path = f"/prebookings/{failed['id']}/retry"
    assert (await post(sweepless, path, "key")).status_code == 409
    await sweepless.http.delete(f"/prebookings/{other['id']}", headers=sweepless.speaking_for(ANA))
    assert (await post(sweepless, path, "key")).status_code == 409
    assert (await post(sweepless, path, "another")).status_code == 200


async def test_a_create_that_was_moved_since_is_answered_with_its_row(sweepless: World) -> None:
    wish = sweepless.wish(SOON)
    row = (await post(sweepless, "/prebookings", "key", wish)).json()
    moved = await sweepless.http.patch(
        f"/prebookings/{row['id']}",
        headers=sweepless.speaking_for(ANA),
        json={"available_at": (SOON + timedelta(hours=1)).isoformat()},
    )
    again = await post(sweepless, "/prebookings", "key", wish)
    assert (again.status_code, again.json()) == (201, moved.json())


async def test_a_limit_that_was_met_is_not_remembered(database: asyncpg.Connection, outside: Outside) -> None:
    async with open_world(database, *outside, sweep_seconds=0, max_active_prebookings=1) as world:
        first = (await post(world, "/prebookings", None, world.wish(SOON, class_id=1))).json()
        assert (await post(world, "/prebookings", "key", world.wish(SOON, class_id=2))).status_code == 429
        await world.http.delete(f"/prebookings/{first['id']}", headers=world.speaking_for(ANA))
        assert (await post(world, "/prebookings", "key", world.wish(SOON, class_id=2))).status_code == 201


async def test_what_an_earlier_version_made_with_a_key_is_its_answer(sweepless: World) -> None:
    """It knows no p_key, and names the row by user, path and key."""
    wish = sweepless.wish(SOON)
    row = await sweepless.prebook(ANA, SOON)
    old_id = str(uuid5(_KEYS, f"{ANA} /prebookings key"))
    await sweepless.database.execute("delete from prebooking.idempotency_keys")
    await sweepless.database.execute(
        "update public.prebookings set id = $1, status = 'cancelled' where id = $2", old_id, row["id"]
    )
    again = await post(sweepless, "/prebookings", "key", wish)
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (201, old_id, "cancelled")
