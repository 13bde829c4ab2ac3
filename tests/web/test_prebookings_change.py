"""PATCH, DELETE and retry: the row first, its message second, and each refusal says which it is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.support.world import World

from prebooking_local.qstash.message import State

ANA = "ana@example.com"
HOUR = timedelta(hours=1)
SOON = datetime.now(UTC) + 5 * HOUR
LATER = SOON + HOUR


async def ask(
    world: World, method: str, row: dict[str, Any], path: str = "", at: datetime | None = None
) -> httpx.Response:
    body = {"available_at": at.isoformat()} if at else None
    url = f"/prebookings/{row['id']}{path}"
    return await world.http.request(method, url, headers=world.speaking_for(ANA), json=body)


async def put(world: World, row: dict[str, Any], assignments: str) -> None:
    """Puts the row into another state, as its execution would."""
    await world.database.execute(f"update public.prebookings set {assignments} where id = $1", row["id"])


FAILED = "status = 'failed', error_code = 'class_full', error_message = 'Full', attempts = 3, executed_at = now()"
COMPLETED = "status = 'completed'"
CANCELLED = "status = 'cancelled'"
CLAIMED = "status = 'executing', claim_token = gen_random_uuid(), lease_until = now() + interval '1 minute'"
BEGUN = CLAIMED + ", booking_started_at = now(), begun_token = gen_random_uuid()"


async def test_another_opening_raises_the_version_and_replaces_the_message(sweepless: World) -> None:
    old = await sweepless.prebook(ANA, SOON)
    answer = await ask(sweepless, "PATCH", old, at=LATER)

    assert answer.status_code == 200
    row = answer.json()
    assert (row["status"], row["version"], row["attempts"]) == ("pending", 2, 0)
    assert datetime.fromisoformat(row["available_at"]) == LATER
    first, second = sweepless.messages(row["id"])
    assert (first.id, first.state) == (old["qstash_schedule_id"], State.CANCELLED)
    assert (second.id, second.state) == (row["qstash_schedule_id"], State.WAITING)
    assert second.order.body.endswith(b'"version": 2}')
    assert second.not_before == int(LATER.timestamp()) - 3


async def test_moved_further_away_than_qstash_holds_it_only_loses_its_message(sweepless: World) -> None:
    row = await sweepless.prebook(ANA, SOON, classTimeUTC=(SOON + 9 * 24 * HOUR).isoformat())
    moved = (await ask(sweepless, "PATCH", row, at=SOON + 7 * 24 * HOUR)).json()

    assert (moved["version"], moved["qstash_schedule_id"]) == (2, None)
    assert [message.state for message in sweepless.messages(row["id"])] == [State.CANCELLED]


async def test_the_same_opening_again_changes_nothing(sweepless: World) -> None:
    row = await sweepless.prebook(ANA, SOON)
    again = (await ask(sweepless, "PATCH", row, at=SOON)).json()
    assert (again["version"], again["qstash_schedule_id"]) == (1, row["qstash_schedule_id"])
    assert len(sweepless.messages(row["id"])) == 1


async def test_only_a_pending_one_can_be_moved(sweepless: World, subtests: pytest.Subtests) -> None:
    codes = dict.fromkeys((FAILED, COMPLETED, CANCELLED), "already-finished")
    codes |= dict.fromkeys((CLAIMED, BEGUN), "booking-in-progress")
    for class_id, (state, code) in enumerate(codes.items()):
        with subtests.test(state=state):
            row = await sweepless.prebook(ANA, SOON, class_id=class_id)
            await put(sweepless, row, state)
            before = await sweepless.read(ANA, row["id"])

            answer = await ask(sweepless, "PATCH", row, at=LATER)
            assert (answer.status_code, answer.json()["code"]) == (409, code)
            assert await sweepless.read(ANA, row["id"]) == before


async def test_an_opening_when_the_class_is_over_is_refused_by_patch_and_retry(sweepless: World) -> None:
    row = await sweepless.prebook(ANA, SOON, classTimeUTC=LATER.isoformat())
    refused = [await ask(sweepless, "PATCH", row, at=LATER)]
    await put(sweepless, row, FAILED)
    refused.append(await ask(sweepless, "POST", row, "/retry", LATER))
    await put(sweepless, row, "give_up_at = now()")
    refused.append(await ask(sweepless, "POST", row, "/retry"))

    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
        assert [error["field"] for error in answer.json()["errors"]] == ["available_at"]
    assert (await sweepless.read(ANA, row["id"]))["status"] == "failed"


async def test_a_cancelled_one_keeps_its_row_and_loses_its_message(sweepless: World) -> None:
    row = await sweepless.prebook(ANA, SOON)
    answer = await ask(sweepless, "DELETE", row)

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert [message.state for message in sweepless.messages(row["id"])] == [State.CANCELLED]
    again = await ask(sweepless, "DELETE", row)
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")


async def test_a_failing_delete_at_qstash_changes_no_answer(sweepless: World, subtests: pytest.Subtests) -> None:
    faults: tuple[dict[str, Any], ...] = (
        *({"api_status": status} for status in (500, 404, 429)),
        *({name: True} for name in ("api_refused", "api_hangs")),
    )
    for class_id, fault in enumerate(faults):
        with subtests.test(**fault):
            row = await sweepless.prebook(ANA, SOON, class_id=class_id)
            times = 2 if "api_refused" in fault else 1  # a delete that a kept connection has lost is sent again
            once = {name: {"value": value, "on": "cancel", "next": times} for name, value in fault.items()}
            sweepless.qstash.qstash.faults.change(once)

            answer = await ask(sweepless, "DELETE", row)
            assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
            assert answer.elapsed < timedelta(seconds=2.5)
            assert [message.state for message in sweepless.messages(row["id"])] == [State.WAITING]


async def test_what_has_not_begun_can_be_cancelled(sweepless: World, subtests: pytest.Subtests) -> None:
    said = {
        CLAIMED: "cancelled",
        BEGUN: "booking-in-progress",
        FAILED: "already-finished",
        COMPLETED: "already-finished",
    }
    for class_id, (state, word) in enumerate(said.items()):
        with subtests.test(state=state):
            row = await sweepless.prebook(ANA, SOON, class_id=class_id)
            await put(sweepless, row, state)

            answer = await ask(sweepless, "DELETE", row)
            assert answer.status_code == (200 if word == "cancelled" else 409)
            assert (answer.json().get("code") or answer.json()["status"]) == word


@pytest.mark.parametrize("at", [None, LATER])
async def test_a_failed_one_can_be_retried_as_if_it_were_new(sweepless: World, at: datetime | None) -> None:
    row = await sweepless.prebook(ANA, SOON)
    await put(sweepless, row, FAILED)
    answer = await ask(sweepless, "POST", row, "/retry", at)

    assert answer.status_code == 200
    again = answer.json()
    assert (again["status"], again["version"], again["attempts"]) == ("pending", 2, 0)
    assert (again["result"], again["error_code"], again["error_message"], again["executed_at"]) == (None,) * 4
    assert datetime.fromisoformat(again["available_at"]) == (at or SOON)
    first, second = sweepless.messages(row["id"])
    assert (first.state, second.state) == (State.CANCELLED, State.WAITING)
    assert again["qstash_schedule_id"] == second.id


async def test_only_a_failed_one_can_be_retried(sweepless: World, subtests: pytest.Subtests) -> None:
    codes = {"status = 'pending'": "not-failed", CLAIMED: "booking-in-progress", BEGUN: "booking-in-progress"}
    codes |= dict.fromkeys((COMPLETED, CANCELLED), "already-finished")
    for class_id, (state, code) in enumerate(codes.items()):
        with subtests.test(state=state):
            row = await sweepless.prebook(ANA, SOON, class_id=class_id)
            await put(sweepless, row, state)

            answer = await ask(sweepless, "POST", row, "/retry")
            assert (answer.status_code, answer.json()["code"]) == (409, code)
            assert (await sweepless.read(ANA, row["id"]))["version"] == 1


async def test_a_retry_is_refused_while_the_wish_is_active_again(sweepless: World) -> None:
    failed = await sweepless.prebook(ANA, SOON)
    await put(sweepless, failed, FAILED)
    active = await sweepless.prebook(ANA, SOON)

    answer = await ask(sweepless, "POST", failed, "/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "prebooking-exists")
    assert answer.json()["prebooking_id"] == active["id"]
    assert (await sweepless.read(ANA, failed["id"]))["status"] == "failed"


async def test_a_retry_keeps_the_begin_mark_of_an_unknown_outcome(sweepless: World) -> None:
    row = await sweepless.prebook(ANA, SOON)
    await put(sweepless, row, "booking_started_at = now(), begun_token = gen_random_uuid(), " + FAILED)
    assert (await ask(sweepless, "POST", row, "/retry")).status_code == 200

    query = "select booking_started_at is not null from public.prebookings where id = $1"
    assert await sweepless.database.fetchval(query, row["id"])
