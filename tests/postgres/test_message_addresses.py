"""A message is delivered to the address that it was published for: once that has changed, it is published anew."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.postgres.factories import prebooking
from tests.postgres.functions import NOW, Functions, seconds

A, B = "https://a.example.com", "https://b.example.com"
TOMORROW = NOW + timedelta(days=1)


async def made(db: Functions, address: str | None = A, **columns: Any) -> UUID:
    """A row with a message for that address."""
    row = await prebooking(db, available_at=TOMORROW, **columns)
    await db.attach(row, 1, f"msg-{row}", address)
    return row


async def to_publish(db: Functions, address: str | None, **more: Any) -> list[str]:
    return [found["id"] for found in (await db.sweep(address=address, **more))["publish"]]


async def test_a_message_for_another_address_is_ordered_anew_once(db: Functions) -> None:
    row = await made(db)
    assert await to_publish(db, A) == []

    (found,) = (await db.sweep(address=B))["publish"]
    assert (found["id"], found["version"], found["readdressed"]) == (str(row), 1, True)

    attached = await db.attach(row, 1, "msg-b", B)
    assert (attached["outcome"], attached["replaced_message_id"]) == ("attached", f"msg-{row}")
    assert await to_publish(db, B) == []


async def test_what_is_missing_is_not_readdressed(db: Functions) -> None:
    await prebooking(db, available_at=TOMORROW)
    (found,) = (await db.sweep(address=B))["publish"]
    assert found["readdressed"] is False


async def test_two_replicas_with_different_addresses_take_a_message_from_each_other_every_ten_minutes_at_most(
    db: Functions,
) -> None:
    row = await made(db)
    await db.attach(row, 1, "msg-b", B)
    for passed, found in ((seconds(0), 0), (seconds(599), 0), (seconds(600), 1)):
        await db.at(NOW + passed)
        assert len(await to_publish(db, A)) == found


async def test_an_address_that_is_unknown_is_right(db: Functions) -> None:
    row = await made(db, address=None)
    assert await to_publish(db, B) == []
    await db.attach(row, 1, "msg-2", A)
    await db.attach(row, 1, "msg-3")  # a replica of an earlier version, beside this one
    assert await to_publish(db, B) == []


async def test_a_replica_that_knows_no_addresses_sweeps_as_before(db: Functions) -> None:
    await made(db)
    assert await to_publish(db, None) == []


@pytest.mark.parametrize(
    "columns",
    [
        *({"status": status} for status in ("completed", "failed", "cancelled")),
        {"available_at": NOW + seconds(2)},
        {"available_at": NOW - seconds(60)},
        {"give_up_at": NOW},
        {"version": 2},
    ],
    ids=str,
)
async def test_only_what_waits_and_has_time_is_ordered_anew(db: Functions, columns: dict[str, Any]) -> None:
    row = await made(db)
    for name, value in columns.items():
        await db.connection.execute(f"update public.prebookings set {name} = $2 where id = $1", row, value)
    found = (await db.sweep(address=B))["publish"]
    assert not any(one["readdressed"] for one in found)


async def test_an_adopted_row_that_waits_as_loaded_is_ordered_anew(db: Functions) -> None:
    row = await made(db)
    await db.connection.execute("update public.prebookings set status = 'loaded'")
    assert await to_publish(db, B) == [str(row)]


async def test_the_earliest_come_first(db: Functions) -> None:
    rows = [await prebooking(db, available_at=TOMORROW - seconds(n)) for n in range(5)]
    for row in rows:
        await db.attach(row, 1, f"msg-{row}", A)
    assert await to_publish(db, B, limit=2) == [str(rows[4]), str(rows[3])]


async def test_it_counts_against_the_limit_of_what_a_user_may_order(db: Functions) -> None:
    rows = [await made(db, created_at=NOW - seconds(61)) for _ in range(4)]
    other = await made(db, user_email="bea@example.com", created_at=NOW - seconds(61))

    first = await to_publish(db, B, per_minute=3)
    assert len(first) == 4
    assert str(other) in first
    for row in first:
        await db.attach(UUID(row), 1, f"b-{row}", B)
    assert await to_publish(db, B, per_minute=3) == []
    refused = await db.reschedule(rows[0], NOW + seconds(3600), max_per_minute=3)
    assert (refused["outcome"], refused["limit"]) == ("too_many", 3)

    await db.at(NOW + seconds(60))
    assert len(await to_publish(db, B, per_minute=3)) == 1
    assert (await db.reschedule(rows[0], NOW + seconds(3600), max_per_minute=3))["outcome"] == "rescheduled"


async def test_ordering_for_the_same_address_again_counts_nothing(db: Functions) -> None:
    row = await made(db)
    await db.attach(row, 1, "msg-2", A)
    await db.attach(row, 1, "msg-3")
    assert await db.connection.fetchval("select count(*) from prebooking.retries") == 0


async def test_a_sweep_reads_no_waiting_row_to_see_that_all_addresses_are_right(db: Functions) -> None:
    await db.connection.execute(
        "insert into public.prebookings (user_email, booking_data, available_at, message_address, scheduled_version)"
        " select 'm' || n || '@example.com', '{}', $1, $2, 1 from generate_series(1, 3000) n",
        TOMORROW,
        A,
    )
    await db.connection.execute("reset role; analyze public.prebookings; set local role service_role")
    read = "select coalesce(sum(idx_tup_fetch + seq_tup_read), 0) from pg_stat_xact_user_tables where relname = $1"
    before = await db.connection.fetchval(read, "prebookings")
    for _ in range(7):  # from the sixth on it is planned for any address
        assert (
            await db.connection.fetchval("select count(*) from prebooking.messages_elsewhere($1, $2, 30, 500)", A, NOW)
            == 0
        )
    assert await db.connection.fetchval(read, "prebookings") - before <= 14
