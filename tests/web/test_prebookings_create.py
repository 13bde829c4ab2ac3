"""POST /prebookings: a wish becomes one row with one message, whatever else happens."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from math import floor
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.world import Outside, World, open_world

from prebooking_local.supabase.faults import Fault

ANA = "ana@example.com"


def in_hours(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


async def create(world: World, body: dict[str, Any], email: str = ANA) -> httpx.Response:
    return await world.http.post("/prebookings", headers=world.speaking_for(email), json=body)


async def test_a_new_wish_is_a_pending_row_with_ids_as_strings(world: World) -> None:
    opens_at = in_hours(5)
    answer = await create(world, world.wish(opens_at, class_id=501, familyId=9, activityName="WOD"))

    assert answer.status_code == 201
    row = answer.json()
    assert set(row) == {
        *("id", "user_email", "status", "version", "attempts", "available_at", "box_subdomain", "box_aimharder_id"),
        *("booking_data", "class", "qstash_schedule_id", "warning", "result", "error_code", "error_message"),
        *("series_id", "created_at", "updated_at", "executed_at"),
    }
    assert (row["user_email"], row["status"], row["version"], row["attempts"]) == (ANA, "pending", 1, 0)
    assert datetime.fromisoformat(row["available_at"]) == opens_at
    assert (row["box_subdomain"], row["box_aimharder_id"]) == ("mygym", "7")
    data = {"day": world.day(opens_at), "id": "501", "familyId": "9", "insist": 0, "activityName": "WOD"}
    assert row["booking_data"] == data
    assert await world.read(ANA, row["id"]) == row


async def test_its_message_rings_a_lead_before_the_opening(world: World) -> None:
    opens_at = in_hours(5)
    row = await world.prebook(ANA, opens_at)

    (message,) = world.messages(row["id"])
    assert message.id == row["qstash_schedule_id"]
    assert message.not_before == floor(opens_at.timestamp()) - 3
    assert message.order.url == f"{world.url}/qstash/prebooking-execute"
    assert json.loads(message.order.body) == {"prebooking_id": row["id"], "version": 1}
    assert message.order.retries == 5
    assert message.order.setting("upstash-label") == "prebooking"
    assert (message.order.deduplication_id or "").startswith(f"pb-{row['id']}-v1-")
    assert message.order.setting("upstash-failure-callback") == f"{world.url}/qstash/prebooking-failed"
    assert message.order.timeout_s == 15


async def test_the_same_wish_and_opening_again_is_the_same_row(world: World) -> None:
    opens_at = in_hours(5)
    row = await world.prebook(ANA, opens_at)
    same = world.wish(opens_at.astimezone(), class_id="501", familyId=None)
    same["box_subdomain"] = "MyGym"

    for email in (ANA, "Ana@Example.COM"):
        again = await create(world, same, email)
        assert (again.status_code, again.json()) == (200, row)
    assert len(world.messages(row["id"])) == 1


async def test_the_same_wish_with_another_opening_is_refused_naming_the_row(world: World) -> None:
    row = await world.prebook(ANA, in_hours(5))
    body = world.wish(in_hours(6)) | {"booking_data": row["booking_data"]}

    answer = await create(world, body)
    assert (answer.status_code, answer.json()["code"]) == (409, "prebooking-exists")
    assert answer.json()["prebooking_id"] == row["id"]


async def test_two_tabs_at_once_make_one_row_and_one_message(world: World) -> None:
    body = world.wish(in_hours(5))
    answers = await asyncio.gather(*(create(world, body) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    (row_id,) = {answer.json()["id"] for answer in answers}
    assert await world.database.fetchval("select count(*) from public.prebookings") == 1
    assert len(world.messages(row_id)) == 1


async def test_another_member_of_the_family_and_another_user_have_rows_of_their_own(world: World) -> None:
    body = world.wish(in_hours(5))
    family = body | {"booking_data": body["booking_data"] | {"familyId": "9"}}
    answers = [await create(world, body), await create(world, family), await create(world, body, "bo@example.com")]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len({answer.json()["id"] for answer in answers}) == 3


async def test_a_cancelled_wish_can_be_made_again(world: World) -> None:
    opens_at = in_hours(5)
    first = await world.prebook(ANA, opens_at)
    await world.http.delete(f"/prebookings/{first['id']}", headers=world.speaking_for(ANA))

    second = await create(world, world.wish(opens_at))
    assert second.status_code == 201
    assert second.json()["id"] != first["id"]


async def test_an_opening_when_the_class_is_over_is_refused(world: World) -> None:
    opens_at = in_hours(5)
    for starts_at in (opens_at, opens_at - timedelta(seconds=1), in_hours(-1)):
        answer = await create(world, world.wish(opens_at, classTimeUTC=starts_at.isoformat()))
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
        [error] = answer.json()["errors"]
        fix = "choose an earlier opening" if starts_at > datetime.now(UTC) else "it is over, so choose another class"
        assert (error["field"], error["message"]) == (
            "available_at",
            f"the class could be booked only until {starts_at:%Y-%m-%dT%H:%M:%SZ}: {fix}",
        )
    long_ago = world.wish(opens_at) | {"booking_data": {"day": "20200101", "id": 1}}
    answer = await create(world, long_ago)
    assert answer.json()["errors"][0]["message"] == (
        "the class could be booked only until 2020-01-02T12:00:00Z: it is over, so choose another class"
    )
    assert (await create(world, world.wish(opens_at, classTimeUTC=in_hours(6).isoformat()))).status_code == 201


async def test_an_opening_in_the_past_runs_at_once(world: World) -> None:
    await world.member(ANA)
    opens_at = world.open_class(-60)

    row = await world.finished(ANA, (await world.prebook(ANA, opens_at))["id"])
    assert (row["status"], row["result"]["outcome"]) == ("completed", "booked")


async def test_a_prebooking_is_made_though_qstash_fails(world: World, subtests: pytest.Subtests) -> None:
    faults: tuple[dict[str, Any], ...] = (
        *({"api_status": status} for status in (500, 401)),
        *({"api_limit": "daily"}, {"api_refused": True}, {"api_hangs": True}),
    )
    for class_id, fault in enumerate(faults):
        with subtests.test(**fault):
            world.qstash.qstash.faults.clear()
            world.qstash.qstash.faults.change(fault)
            began = time.monotonic()
            answer = await create(world, world.wish(in_hours(5), class_id=class_id))

            assert time.monotonic() - began < 2.5
            assert answer.status_code == 201
            assert answer.json()["qstash_schedule_id"] is None


async def publish_what_is_missing(world: World, prebooking_id: str) -> dict[str, Any]:
    """The row once the sweep has published its message; it leaves rows younger than 10 s to their creator."""
    await world.database.execute("update public.prebookings set armed_at = armed_at - interval '10 seconds'")
    async with asyncio.timeout(60):
        while (row := await world.read(ANA, prebooking_id))["qstash_schedule_id"] is None:
            await world.services.sweeper.sweep()
            await world.services.sweeper.wait_idle()
    return row


async def test_the_sweep_orders_the_message_that_qstash_did_not_take(world: World) -> None:
    world.qstash.qstash.faults.change({"api_status": {"value": 500, "next": 1}})
    row = await world.prebook(ANA, in_hours(5))
    assert world.messages(row["id"]) == []

    row = await publish_what_is_missing(world, row["id"])
    assert [message.id for message in world.messages(row["id"])] == [row["qstash_schedule_id"]]


async def test_a_message_whose_id_could_not_be_written_down_is_found_again_not_doubled(world: World) -> None:
    world.gateway.faults.set(Fault(kind="unavailable", function="attach_message", times=3))
    row = await world.prebook(ANA, in_hours(5))
    assert row["qstash_schedule_id"] is None
    (ordered,) = world.messages(row["id"])

    row = await publish_what_is_missing(world, row["id"])
    assert [message.id for message in world.messages(row["id"])] == [row["qstash_schedule_id"]] == [ordered.id]


async def test_a_lost_answer_of_the_database_makes_no_second_row(world: World) -> None:
    world.gateway.faults.set(Fault(kind="lose_answer", function="create_prebooking"))
    answer = await create(world, world.wish(in_hours(5)))

    assert answer.status_code == 201
    assert await world.database.fetchval("select count(*) from public.prebookings") == 1


async def test_an_opening_further_away_than_qstash_holds_has_no_message_yet(world: World) -> None:
    far = await world.prebook(ANA, in_hours(6 * 24 + 0.1), class_id=1)
    near = await world.prebook(ANA, in_hours(6 * 24 - 0.1), class_id=2)

    assert far["qstash_schedule_id"] is None
    assert near["qstash_schedule_id"]
    assert world.messages(far["id"]) == []


async def test_in_the_local_development_mode_what_is_created_opens_now(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, schedule_for_now=True) as world:
        await world.member(ANA)
        world.open_class(-1)
        answer = await create(
            world, world.wish(in_hours(50)) | {"booking_data": world.wish(in_hours(0))["booking_data"]}
        )
        again = await create(
            world, world.wish(in_hours(60)) | {"booking_data": world.wish(in_hours(0))["booking_data"]}
        )

        assert (answer.status_code, again.status_code) == (201, 200)
        assert again.json()["id"] == answer.json()["id"]
        assert abs(datetime.fromisoformat(answer.json()["available_at"]).timestamp() - time.time()) < 2
        row = await world.finished(ANA, answer.json()["id"])
        assert row["result"]["outcome"] == "booked"
