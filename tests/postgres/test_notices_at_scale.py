"""Notices are taken and removed by index, in bounded batches, however many there are; what nobody hears goes soon."""

from datetime import timedelta
from typing import Any

import pytest
from tests.postgres.functions import NOW, Functions

_DAY = timedelta(days=1)


async def written(db: Functions, number: int, **columns: Any) -> None:
    """So many notices, told unless `told_at` is given as None, the first a second old."""
    values = {"told_at": NOW, "created_at": NOW, "try_after": NOW} | columns
    await db.connection.execute(
        "insert into prebooking.notices (key, kind, prebooking, told_at, created_at, try_after)"
        " select gen_random_uuid()::text, 'booked', '{}', $2, $3::timestamptz - n * interval '1 second', $4"
        " from generate_series(1, $1) n",
        number,
        values["told_at"],
        values["created_at"],
        values["try_after"],
    )


async def read(db: Functions) -> tuple[int, int]:
    """How often the table was read from end to end, and how many rows were fetched by index."""
    row = await db.connection.fetchrow(
        "select seq_scan, coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables where relname = 'notices'"
    )
    return row[0], row[1]


CROWDS: dict[str, dict[str, Any]] = {
    "told long ago": {"created_at": NOW - 30 * _DAY},
    "told today": {},
    "never heard": {"told_at": None, "created_at": NOW - 30 * _DAY, "try_after": NOW - 30 * _DAY},
    "never heard, tried of late": {"told_at": None, "created_at": NOW - 30 * _DAY},
    "somebody else's for a minute": {"told_at": None, "try_after": NOW + timedelta(minutes=1)},
    "untold": {"told_at": None},
}


@pytest.mark.parametrize("crowd", CROWDS)
@pytest.mark.parametrize("function", ["take_notices", "remove_old_prebookings"])
async def test_neither_reads_the_whole_table(db: Functions, crowd: str, function: str) -> None:
    await written(db, 5_000, **CROWDS[crowd])
    await db.connection.execute("reset role; analyze prebooking.notices; set local role service_role")
    arguments = {"days": 90, "limit": 50} if function == "remove_old_prebookings" else {}
    scans, fetched = await read(db)
    for _ in range(7):  # from the sixth on it is planned for any value
        await db.call(function, **arguments)
    after, fetched_after = await read(db)
    assert after == scans
    assert fetched_after - fetched <= 7 * 2 * 500  # a batch's, found and then changed


async def test_what_nobody_was_told_within_a_day_is_removed_two_days_later(db: Functions) -> None:
    await written(db, 3, told_at=None, created_at=NOW - 2 * _DAY)
    await written(db, 2, told_at=None, created_at=NOW - 2 * _DAY + timedelta(minutes=1))
    await written(db, 1, created_at=NOW - 2 * _DAY)
    assert await db.call("remove_old_prebookings", days=90) == {"outcome": "removed", "removed": 0, "more": False}
    assert await db.connection.fetchval("select count(*) from prebooking.notices") == 3


@pytest.mark.parametrize(
    "old", [{"created_at": NOW - 91 * _DAY}, {"told_at": None, "created_at": NOW - 3 * _DAY}], ids=["told", "untold"]
)
async def test_notices_go_in_batches_and_it_says_whether_there_are_more(db: Functions, old: dict[str, Any]) -> None:
    await written(db, 9, **old)
    more = [(await db.call("remove_old_prebookings", days=90, limit=1))["more"] for _ in range(3)]
    assert more == [True, True, False]
    assert await db.connection.fetchval("select count(*) from prebooking.notices") == 0


async def test_the_oldest_untold_of_today_come_first_and_once(db: Functions) -> None:
    await written(db, 5, told_at=None)
    taken = [(await db.call("take_notices", limit=2))["notices"] for _ in range(4)]
    assert [len(some) for some in taken] == [2, 2, 1, 0]
    assert [one["created_at"] for some in taken for one in some] == sorted(
        one["created_at"] for some in taken for one in some
    )
