"""A user's rows, newest first, page by page."""

from datetime import datetime
from uuid import UUID, uuid4

import pytest
from tests.postgres.factories import prebooking
from tests.postgres.functions import NOW, Functions, seconds


async def ids(db: Functions, **arguments: object) -> list[UUID]:
    listed = await db.call("list_prebookings", user_email="ana@example.com", **arguments)
    assert listed["outcome"] == "listed"
    return [UUID(row["id"]) for row in listed["prebookings"]]


async def test_the_newest_comes_first_and_others_rows_never(db: Functions) -> None:
    older = await prebooking(db, created_at=NOW - seconds(2))
    newer = await prebooking(db, created_at=NOW - seconds(1), user_email="Ana@Example.COM")
    await prebooking(db, user_email="bea@example.com")

    assert await ids(db) == [newer, older]


async def test_pages_neither_lose_nor_repeat_rows_that_were_made_at_the_same_instant(db: Functions) -> None:
    everything = {await prebooking(db, created_at=NOW - seconds(n // 5)) for n in range(12)}
    seen: list[UUID] = []
    after: dict[str, object] = {}

    for _ in range(4):
        page = await db.call("list_prebookings", user_email="ana@example.com", limit=3, **after)
        last = page["prebookings"][-1]
        after = {"before_created_at": datetime.fromisoformat(last["created_at"]), "before_id": UUID(last["id"])}
        seen += [UUID(row["id"]) for row in page["prebookings"]]

    assert (len(seen), set(seen)) == (12, everything)
    assert seen == await ids(db)
    assert await ids(db, **after) == []


@pytest.mark.parametrize("status", ["pending", "executing", "completed", "failed", "cancelled"])
async def test_a_status_is_asked_for_alone_and_loaded_is_pending(db: Functions, status: str) -> None:
    rows = {s: await prebooking(db, status=s) for s in ("pending", "executing", "completed", "failed", "cancelled")}
    loaded = await prebooking(db, status="loaded", created_at=NOW)

    listed = await db.call("list_prebookings", user_email="ana@example.com", status=status)

    assert {row["status"] for row in listed["prebookings"]} == {status}
    assert await ids(db, status=status) == ([loaded] if status == "pending" else []) + [rows[status]]


async def test_a_box_is_asked_for_alone(db: Functions) -> None:
    await prebooking(db)
    elsewhere = await prebooking(db, box_subdomain="other")

    assert await ids(db, box_subdomain="other") == [elsewhere]


async def test_one_row_is_asked_for_by_its_id_and_anothers_looks_like_a_missing_one(db: Functions) -> None:
    mine, anothers = await prebooking(db), await prebooking(db, user_email="bea@example.com")

    assert await ids(db, id=mine) == [mine]
    assert await ids(db, id=anothers) == []
    assert await ids(db, id=uuid4()) == []


async def test_times_are_shown_to_the_microsecond_in_utc(db: Functions) -> None:
    opening = NOW + seconds(0.123456)
    row = await prebooking(db, available_at=opening)
    await db.connection.execute("set local timezone = 'Europe/Madrid'")

    (shown,) = (await db.call("list_prebookings", user_email="ana@example.com", id=row))["prebookings"]

    assert shown["available_at"] == "2099-03-04T08:00:00.123456+00:00"
