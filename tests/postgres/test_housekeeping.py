"""What ended long ago is removed, and nothing else."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tests.postgres.factories import prebooking, session
from tests.postgres.functions import NOW, Functions

LONG_AGO = NOW - timedelta(days=91)


async def ended(db: Functions, status: str = "completed", days_ago: float = 91, **columns: Any) -> UUID:
    long_ago = NOW - timedelta(days=days_ago)
    await db.at(long_ago)
    values = {"available_at": long_ago, "give_up_at": long_ago, "created_at": long_ago, "status": status} | columns
    made = await prebooking(db, **values)
    await db.at(NOW)
    return made


async def left(db: Functions) -> set[UUID]:
    return {row["id"] for row in await db.connection.fetch("select id from public.prebookings")}


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_row_is_removed_ninety_days_after_its_end_and_not_before(db: Functions, status: str) -> None:
    old, young = await ended(db, status), await ended(db, status, 89)
    assert await db.call("remove_old_prebookings", days=90) == {"outcome": "removed", "removed": 1, "more": False}
    assert await left(db) == {young}
    assert old != young


@pytest.mark.parametrize("status", ["pending", "loaded", "executing"])
async def test_what_has_not_ended_stays_however_old(db: Functions, status: str) -> None:
    row = await ended(db, status)
    await db.call("remove_old_prebookings", days=90)
    assert await left(db) == {row}


async def test_a_cancelled_wish_for_a_class_to_come_stays(db: Functions) -> None:
    row = await ended(db, "cancelled", give_up_at=NOW + timedelta(days=1))
    await db.call("remove_old_prebookings", days=90)
    assert await left(db) == {row}


async def test_it_goes_in_batches(db: Functions) -> None:
    for _ in range(5):
        await ended(db)
    told = [await db.call("remove_old_prebookings", days=90, limit=2) for _ in range(3)]
    assert [(one["removed"], one["more"]) for one in told] == [(2, True), (2, True), (1, False)]


async def test_sessions_stay(db: Functions) -> None:
    await session(db, created_at=LONG_AGO, updated_at=LONG_AGO)
    await db.call("remove_old_prebookings", days=1)
    assert await db.connection.fetchval("select count(*) from public.auth_sessions") == 1


async def test_notices_go_too(db: Functions) -> None:
    await db.connection.execute(
        "insert into prebooking.notices (key, kind, prebooking, created_at, try_after, told_at)"
        " values ('old', 'booked', '{}', $1, $1, $1), ('new', 'booked', '{}', $2, $2, $2)",
        LONG_AGO,
        NOW,
    )
    await db.call("remove_old_prebookings", days=90)
    assert await db.connection.fetchval("select string_agg(key, ' ') from prebooking.notices") == "new"


async def test_it_can_not_be_told_to_remove_everything(db: Functions) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await db.call("remove_old_prebookings", days=0)
