"""read_changes: from snapshot to snapshot nothing is skipped and nothing comes twice, however commits overlap."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tests.postgres.factories import prebooking
from tests.postgres.functions import Answer, Functions, Many

ANA, BEA = "ana@example.com", "bea@example.com"
SOON = datetime.now(UTC) + timedelta(hours=1)


async def read(db: Functions, since: str | None, until: str | None = None, *emails: str) -> Answer:
    return await db.call("read_changes", since=since, until=until, user_emails=[*(emails or (ANA,))])


async def touch(db: Functions, row: UUID, attempts: int = 1) -> None:
    await db.connection.execute("update public.prebookings set attempts = $2 where id = $1", row, attempts)


def ids(answer: Answer) -> list[str]:
    return [row["id"] for row in answer["prebookings"]]


async def test_overlapping_commits_are_each_read_once(many: Many) -> None:
    """Writers hold their transactions open for a while, so that stamps and commits come in different orders."""
    reader, *writers = await many(9)
    rows = [await prebooking(reader, available_at=SOON) for _ in range(24)]
    rng = random.Random(6)
    cursor = (await read(reader, None))["cursor"]
    writing = True
    told: list[tuple[str, int]] = []

    async def write(writer: Functions, own: list[UUID]) -> None:
        for number in range(1, 16):
            async with writer.connection.transaction():
                for row in own:
                    await touch(writer, row, number)
                    await asyncio.sleep(rng.uniform(0, 0.004))

    async def follow() -> None:
        nonlocal cursor
        while True:
            last = not writing
            found = await read(reader, cursor)
            cursor = found["cursor"]
            told.extend((row["id"], row["attempts"]) for row in found["prebookings"])
            if last:
                return

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(writer, rows[i::8]) for i, writer in enumerate(writers)))
    writing = False
    await following

    assert len(told) == len(set(told))
    for row in rows:
        seen = [attempts for id_, attempts in told if id_ == str(row)]
        assert seen == sorted(seen)
        assert seen[-1] == 15
    assert ids(await read(reader, cursor)) == []


async def test_up_to_a_snapshot_and_from_it_on_are_the_whole(many: Many) -> None:
    one, two = await many(2)
    first, second = [await prebooking(one, available_at=SOON) for _ in range(2)]
    began = (await read(one, None))["cursor"]
    transaction = two.connection.transaction()
    await transaction.start()
    await touch(two, first)
    await touch(one, second)
    middle = (await read(one, None))["cursor"]
    await transaction.commit()

    assert ids(await read(one, began, middle)) == [str(second)]
    assert ids(await read(one, middle)) == [str(first)]
    assert set(ids(await read(one, began))) == {str(first), str(second)}


async def test_only_the_rows_of_those_who_are_asked_for_in_any_spelling(many: Many) -> None:
    (db,) = await many(1)
    began = (await read(db, None))["cursor"]
    anas = await prebooking(db, available_at=SOON, user_email="Ana@Example.com")
    beas = await prebooking(db, available_at=SOON, user_email=BEA)

    assert ids(await read(db, began)) == [str(anas)]
    assert ids(await read(db, began, None, ANA, BEA)) == [str(anas), str(beas)]
    assert ids(await read(db, began, None, "eve@example.com")) == []
    assert (await read(db, None))["prebookings"] == []


async def test_pages_are_the_whole_and_what_changes_between_them_is_in_the_next_reading(many: Many) -> None:
    (db,) = await many(1)
    began = (await read(db, None))["cursor"]
    rows = [str(await prebooking(db, available_at=SOON)) for _ in range(5)]
    async with db.connection.transaction():  # several of one transaction have an order, too
        rows += sorted([str(await prebooking(db, available_at=SOON)) for _ in range(4)])
    whole = await read(db, began)
    assert ids(whole) == rows

    told: list[str] = []
    until = page = None
    while True:
        found = await db.call("read_changes", since=began, until=until, user_emails=[ANA], after=page, limit=2)
        assert len(found["prebookings"]) <= 2
        told += ids(found)
        until, page = until or found["cursor"], found["next"]
        if page is None:
            break
        if len(told) == 2:
            await touch(db, UUID(rows[0]))
            await touch(db, UUID(rows[7]))
    assert told == [row for row in rows if row != rows[7]]
    assert ids(await read(db, until)) == [rows[0], rows[7]]


async def test_a_replica_of_an_earlier_version_is_told_all_at_once(many: Many) -> None:
    (db,) = await many(1)
    began = (await read(db, None))["cursor"]
    rows = [str(await prebooking(db, available_at=SOON)) for _ in range(3)]
    answer = await read(db, began)
    assert (ids(answer), answer["next"]) == (rows, None)


async def test_a_snapshot_of_another_database_is_known_for_one(many: Many) -> None:
    (db,) = await many(1)
    far = 2**40 + 7  # no number of a transaction ends in 32 zeros
    answer = await read(db, f"{far}:{far}:")
    assert (answer["outcome"], answer["prebookings"]) == ("unknown_cursor", [])
    for wrong in ("", "x", "5:3:", "1:1:2", "1:2:3;"):
        with pytest.raises(asyncpg.DataError):
            await read(db, wrong)


async def test_rows_that_came_from_another_database_are_no_news_for_ever(many: Many) -> None:
    """A restore brings their stamps along, which lie in this one's future."""
    (db,) = await many(1)
    row = await prebooking(db, available_at=SOON)
    await db.connection.execute("reset role")
    await db.connection.execute("alter table public.prebookings disable trigger prebookings_changed_stamp_change")
    try:
        await db.connection.execute("update public.prebookings set changed_xid = '900000000000' where id = $1", row)
    finally:
        await db.connection.execute("alter table public.prebookings enable trigger prebookings_changed_stamp_change")
        await db.connection.execute("set role service_role")
    cursor = (await read(db, None))["cursor"]
    assert ids(await read(db, cursor)) == []
    await touch(db, row)
    assert ids(await read(db, cursor)) == [str(row)]


async def test_the_news_is_found_by_an_index(many: Many) -> None:
    (db,) = await many(1)
    await prebooking(db, available_at=SOON)
    await db.connection.execute("reset role")
    async with db.connection.transaction():
        await db.connection.execute("set local enable_seqscan = off")
        plan: list[Any] = await db.connection.fetch(
            "explain select from public.prebookings p where p.changed_xid >= '5'::xid8"
            " and not pg_visible_in_snapshot(p.changed_xid, '5:5:')"
        )
    await db.connection.execute("set role service_role")
    assert "prebookings_changed" in str(plan)
