"""The message of a row: attached to the version it was published for, replaced, and lost."""

from uuid import uuid4

import pytest
from tests.postgres.factories import STATES, prebooking
from tests.postgres.functions import NOW, Functions, seconds


async def test_a_message_is_attached_to_its_version(db: Functions) -> None:
    row = await prebooking(db)

    attached = await db.attach(row, 1, "msg-1")

    assert (attached["outcome"], attached["replaced_message_id"]) == ("attached", None)
    assert attached["prebooking"]["qstash_schedule_id"] == "msg-1"
    assert (await db.row(row))["scheduled_version"] == 1
    assert await db.attach(row, 1, "msg-1") == attached


async def test_a_second_message_replaces_the_first_which_is_named_to_be_deleted(db: Functions) -> None:
    row = await prebooking(db, qstash_schedule_id="the-old-writers")

    attached = await db.attach(row, 1, "msg-1")

    assert attached["replaced_message_id"] == "the-old-writers"
    assert attached["prebooking"]["qstash_schedule_id"] == "msg-1"


async def test_the_replaced_message_is_named_again_when_the_answer_was_lost(db: Functions) -> None:
    row = await prebooking(db, qstash_schedule_id="the-old-writers")
    first = await db.attach(row, 1, "msg-1")

    assert await db.attach(row, 1, "msg-1") == first


@pytest.mark.parametrize("state", [s for s in STATES if s != "cancelled"])
async def test_a_message_of_this_version_is_attached_in_every_state_but_cancelled(db: Functions, state: str) -> None:
    token = uuid4()
    row = await prebooking(db, **STATES[state](token))
    before = await db.row(row)

    assert (await db.attach(row, 1, "msg-1"))["outcome"] == "attached"

    after = await db.row(row)
    changed = {name for name in before if before[name] != after[name]} - {"updated_at"}
    assert changed == {"qstash_schedule_id", "scheduled_version"}


@pytest.mark.parametrize(
    ("columns", "version", "reason"),
    [({"status": "cancelled"}, 1, "cancelled"), ({"version": 2}, 1, "stale"), ({}, 2, "stale")],
    ids=["cancelled", "older", "newer"],
)
async def test_a_message_of_another_version_or_a_cancelled_row_is_refused(
    db: Functions, columns: dict[str, object], version: int, reason: str
) -> None:
    row = await prebooking(db, qstash_schedule_id="kept", **columns)

    refused = await db.attach(row, version, "msg-1")

    assert refused["outcome"] == reason
    assert refused["prebooking"]["qstash_schedule_id"] == "kept"
    assert (await db.row(row))["scheduled_version"] is None


async def test_a_message_for_a_row_that_is_gone_is_refused(db: Functions) -> None:
    assert (await db.attach(uuid4(), 1, "msg-1"))["outcome"] == "unknown_prebooking"


async def test_a_delivery_failure_takes_the_message_and_nothing_else_and_counts_once(db: Functions) -> None:
    row = await prebooking(db)
    await db.attach(row, 1, "msg-1")

    first = await db.note_failure(row, 1, "503 five times")
    again = await db.note_failure(row, 1, "503 five times")

    assert (first["outcome"], first["prebooking"]["status"]) == ("noted", "pending")
    assert first["prebooking"]["qstash_schedule_id"] is None
    assert again["outcome"] == "nothing_to_note"
    noted = await db.row(row)
    assert (noted["delivery_failures"], noted["delivery_failure"]) == (1, "503 five times")
    assert noted["scheduled_version"] is None


@pytest.mark.parametrize("state", STATES)
async def test_a_delivery_failure_never_changes_a_status(db: Functions, state: str) -> None:
    row = await prebooking(db, **STATES[state](uuid4()), qstash_schedule_id="msg-1", scheduled_version=1)
    before = await db.row(row)

    noted = await db.note_failure(row, 1)

    assert (await db.row(row))["status"] == before["status"]
    assert (noted["outcome"] == "noted") == (before["status"] in ("pending", "loaded"))


async def test_a_delivery_failure_of_another_version_or_row_is_nothing_to_note(db: Functions) -> None:
    row = await prebooking(db, version=2, scheduled_version=2, qstash_schedule_id="msg-2")

    assert (await db.note_failure(row, 1))["outcome"] == "nothing_to_note"
    assert (await db.note_failure(uuid4(), 1))["outcome"] == "nothing_to_note"
    assert (await db.row(row))["scheduled_version"] == 2


async def test_a_failed_message_is_published_again_under_its_number_of_failures(db: Functions) -> None:
    row = await prebooking(db, available_at=NOW + seconds(60))
    await db.attach(row, 1, "msg-1")
    await db.note_failure(row, 1)

    (missing,) = (await db.sweep())["publish"]

    assert (missing["id"], missing["version"], missing["delivery_failures"]) == (str(row), 1, 1)
