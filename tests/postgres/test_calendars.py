"""A user's calendar: one at a time, read by its secret's hash alone, bounded, and gone with its account."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from tests.postgres.factories import booking_data, claimed, failed, prebooking
from tests.postgres.functions import NOW, Functions, Many, until_waiting

ANA, NEW = "ana@example.com", "new@example.com"
ONE, OTHER = "1" * 64, "2" * 64
GIVEN_BACK = {"outcome": "booked", "given_back_at": NOW.isoformat()}


async def make(db: Functions, secret_hash: str = ONE, email: str = ANA, sub: str | None = None) -> str:
    outcome: str = (await db.call("make_calendar", user_email=email, secret_hash=secret_hash, sub=sub))["outcome"]
    return outcome


async def read(db: Functions, secret_hash: str = ONE, **limit: int) -> list[dict[str, Any]] | None:
    answer = await db.call("read_calendar", secret_hash=secret_hash, **limit)
    return answer["entries"] if answer["outcome"] == "read" else None


async def own(db: Functions, email: str, sub: str) -> Any:
    return (await db.call("own_email", sub=sub, email=email))["outcome"]


async def test_a_new_calendar_ends_the_old_and_a_repeat_is_the_same(db: Functions) -> None:
    assert [await make(db), await make(db), await make(db, OTHER, "Ana@Example.com")] == ["made"] * 3
    assert await read(db, ONE) is None
    assert await read(db, OTHER) == []
    for _ in range(2):
        assert await db.call("end_calendar", user_email="ANA@example.com") == {"outcome": "ended"}
    assert await read(db, OTHER) is None


async def test_it_has_its_own_users_rows_alone(db: Functions) -> None:
    await make(db)
    await make(db, OTHER, NEW)
    mine = await prebooking(db, user_email="Ana@Example.com", booking_data=booking_data(activityName="WOD"))
    await prebooking(db, user_email=NEW)
    [entry] = await read(db) or []
    assert (entry["id"], entry["name"], entry["gym"], entry["status"]) == (str(mine), "WOD", "kap", "pending")
    assert "user_email" not in entry


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({}, True),
        ({"status": "loaded", "loaded_at": NOW}, True),
        ({"status": "completed", "result": {"outcome": "waiting_list"}}, True),
        ({"status": "completed", "result": None}, True),
        ({"status": "completed", "result": GIVEN_BACK}, True),
        ({"status": "cancelled"}, True),
        (failed(), False),
        (failed("outcome_unknown"), False),
    ],
)
async def test_what_has_failed_is_not_there(db: Functions, columns: dict[str, Any], shown: bool) -> None:  # noqa: FBT001
    await make(db)
    await prebooking(db, **columns)
    entries = await read(db) or []
    assert len(entries) == shown
    assert [entry["given_back"] for entry in entries if entry["status"] == "completed"] == (
        [columns["result"] == GIVEN_BACK] if columns.get("status") == "completed" else []
    )


async def test_what_is_being_booked_is_there(db: Functions) -> None:
    await make(db)
    await prebooking(db, **claimed(await db.connection.fetchval("select gen_random_uuid()")))
    [entry] = await read(db) or []
    assert entry["status"] == "executing"


@pytest.mark.parametrize(
    "columns", [{"status": "cancelled"}, {"status": "completed", "result": GIVEN_BACK}], ids=["cancelled", "given back"]
)
async def test_what_was_cancelled_or_given_back_stays_for_thirty_days(db: Functions, columns: dict[str, Any]) -> None:
    await make(db)
    await prebooking(db, **columns)
    await db.at(NOW + timedelta(days=30, seconds=-1))
    assert len(await read(db) or []) == 1
    await db.at(NOW + timedelta(days=30))
    assert await read(db) == []


async def test_what_was_given_back_long_ago_is_not_there_though_its_row_was_written_since(db: Functions) -> None:
    await make(db)
    long_ago = (NOW - timedelta(days=31)).isoformat()
    await prebooking(db, status="completed", result=GIVEN_BACK | {"given_back_at": long_ago})
    assert await read(db) == []


async def test_it_has_a_bounded_number_of_rows_the_newest(db: Functions) -> None:
    await make(db)
    made = [await prebooking(db, created_at=NOW - timedelta(minutes=n)) for n in range(3)]
    assert [entry["id"] for entry in await read(db, limit=2) or []] == [str(id_) for id_ in made[:2]]


@pytest.mark.parametrize(
    "told",
    [
        booking_data(classTimeUTC="9999-12-31T23:59:59Z"),
        booking_data(classTimeUTC="9999-12-31T23:59:59-12:00"),
        booking_data(classTimeUTC="infinity", activityName={"a": 1}, boxName=["x"] * 5000),
        booking_data(activityName="x" * 100_000, day=None, classTimeUTC=None),
        [1, 2],
        "day",
        None,
    ],
)
@pytest.mark.parametrize("starts", ["null", "'infinity'", "'9999-12-31T23:59:59Z'"])
async def test_what_the_web_application_wrote_spoils_nothing_and_stays_short(
    db: Functions, told: Any, starts: str
) -> None:
    await make(db)
    await db.connection.execute(
        "insert into public.prebookings (user_email, booking_data, available_at, starts_at, status, result)"
        f" values ($1, coalesce($2, 'null'::jsonb), 'infinity', {starts}, 'completed', '[7]')",
        ANA,
        told,
    )
    [entry] = await read(db) or []
    assert (entry["starts_at"], entry["opens_at"], entry["outcome"]) == (None, None, None)
    assert len(str(entry)) < 1000


async def test_the_start_is_the_learnt_one_else_the_told_one(db: Functions) -> None:
    await make(db)
    learnt = NOW + timedelta(hours=3)
    await prebooking(db, starts_at=learnt)
    await prebooking(db, booking_data=booking_data(classTimeUTC=None))
    told = await prebooking(db)
    await db.connection.execute("update public.prebookings set starts_at = null where id = $1", told)
    starts = {entry["starts_at"] and datetime.fromisoformat(entry["starts_at"]) for entry in await read(db) or []}
    assert starts == {learnt, None, NOW + timedelta(hours=10)}


async def test_a_released_account_has_no_calendar(db: Functions) -> None:
    for owned in (False, True):
        if owned:
            await own(db, ANA, "first")
        await make(db)
        await db.call("release_email", email=ANA)
        assert await read(db) is None


async def test_a_deleted_account_has_no_calendar(db: Functions) -> None:
    await own(db, ANA, "first")
    await make(db, sub="first")
    await db.connection.execute("reset role")
    await db.connection.execute("delete from prebooking.email_owners")
    assert await read(db) is None


async def test_it_follows_its_account_to_another_e_mail_and_ends_what_was_there(db: Functions) -> None:
    await own(db, ANA, "first")
    await make(db, sub="first")
    await make(db, OTHER, NEW)
    await prebooking(db)
    await own(db, NEW, "first")
    assert len(await read(db, ONE) or []) == 1
    assert await read(db, OTHER) is None


async def test_the_next_owner_of_an_address_has_no_calendar_that_others_read(db: Functions) -> None:
    await own(db, ANA, "first")
    await db.call("release_email", email=ANA)
    await make(db)  # a trusted server's, for whoever it was
    assert await own(db, ANA, "second") == "owned"
    assert await read(db) is None


async def test_an_account_that_has_lost_its_e_mail_makes_no_calendar(db: Functions) -> None:
    """A replica may take it for the owner for some seconds more."""
    await own(db, ANA, "first")
    await db.call("release_email", email=ANA)
    assert await make(db, sub="first") == "taken"
    await own(db, ANA, "second")
    assert await make(db, sub="first") == "taken"
    assert await make(db, OTHER, sub="second") == "made"


async def test_a_calendar_and_a_release_at_once_come_one_after_the_other(many: Many) -> None:
    releasing, making = await many(2)
    await own(releasing, ANA, "first")
    async with releasing.connection.transaction():
        await releasing.call("release_email", email=ANA)
        late = asyncio.create_task(make(making, sub="first"))
        await until_waiting(making, for_=releasing)
    assert await late == "taken"
    assert await read(making) is None


async def test_nothing_but_a_hash_can_be_stored(db: Functions) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await make(db, "a-secret-as-it-is")
