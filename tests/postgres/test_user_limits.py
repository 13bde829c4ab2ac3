"""How much one user may want: prebookings that wait at once, and creates and retries within a minute."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.postgres.factories import GIVE_UP_AT, OPENING, booking_data, claimed, failed, insert, prebooking
from tests.postgres.functions import NOW, Answer, Functions, seconds


async def wish(db: Functions, **more: Any) -> Answer:
    """A create of a class of its own."""
    return await db.create(booking_data(), OPENING, **more)


# ---- those that wait at once --------------------------------------------------------------------------------------


async def test_as_many_as_allowed_may_wait_and_no_more(db: Functions) -> None:
    answers = [await wish(db, max_active=3) for _ in range(4)]

    assert [a["outcome"] for a in answers] == 3 * ["created"] + ["too_many"]
    assert answers[-1] == {"outcome": "too_many", "limit": 3}
    assert await db.connection.fetchval("select count(*) from public.prebookings") == 3


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"status": "loaded"},
        claimed(uuid4()),
        {"status": "executing"},
        {"user_email": "ANA@Example.com"},
    ],
    ids=["pending", "loaded", "executing", "the old cron's", "in another case"],
)
async def test_what_is_not_over_counts_whoever_made_it(db: Functions, state: dict[str, Any]) -> None:
    await prebooking(db, **state)

    assert (await wish(db, max_active=1))["outcome"] == "too_many"
    assert (await wish(db, max_active=2))["outcome"] == "created"


@pytest.mark.parametrize("state", [failed(), {"status": "completed"}, {"status": "cancelled"}])
async def test_what_is_over_makes_room(db: Functions, state: dict[str, Any]) -> None:
    await prebooking(db, **state)

    assert (await wish(db, max_active=1))["outcome"] == "created"


async def test_anothers_rows_take_no_room(db: Functions) -> None:
    await prebooking(db, user_email="bea@example.com")

    assert (await wish(db, max_active=1, max_per_minute=1))["outcome"] == "created"
    assert (await wish(db, user_email="bea@example.com", max_active=1))["outcome"] == "too_many"


async def test_the_web_applications_own_inserts_are_never_refused_but_count(db: Functions) -> None:
    for _ in range(3):
        row = {"user_email": "Ana@Example.com", "booking_data": booking_data(), "available_at": OPENING}
        await insert(db.connection, "prebookings", {**row, "created_at": NOW})

    assert (await wish(db, max_active=3))["outcome"] == "too_many"
    assert (await wish(db, max_per_minute=3))["outcome"] == "too_many"


async def test_a_repeat_is_answered_as_ever_with_no_room_left(db: Functions) -> None:
    wanted, prebooking_id = booking_data(), uuid4()
    limits: dict[str, Any] = {"max_active": 1, "max_per_minute": 1}
    first = await db.create(wanted, OPENING, id=prebooking_id, **limits)
    row = first["prebooking"]

    assert await db.create(wanted, OPENING, id=prebooking_id, **limits) == first
    assert await db.create(wanted, OPENING, **limits) == {"outcome": "existing", "prebooking": row}
    assert await db.create(wanted, OPENING + seconds(1), **limits) == {"outcome": "exists", "prebooking": row}
    assert (await db.create(booking_data(), GIVE_UP_AT, **limits))["outcome"] == "too_late"


async def test_a_retry_needs_room_as_a_create_does(db: Functions) -> None:
    row, token = await prebooking(db, **failed()), uuid4()
    waiting = (await wish(db))["prebooking"]["id"]

    assert await db.retry(row, max_active=1) == {"outcome": "too_many", "limit": 1}
    assert (await db.row(row))["status"] == "failed"

    await db.cancel(waiting)
    retried = await db.retry(row, token=token, max_active=1)
    assert retried["outcome"] == "retried"
    assert await db.retry(row, token=token, max_active=1) == retried
    assert (await wish(db, max_active=1))["outcome"] == "too_many"


async def test_a_retry_of_a_wish_that_waits_again_is_told_so_with_no_room_left(db: Functions) -> None:
    wanted = booking_data()
    row = await prebooking(db, booking_data=wanted, **failed())
    again = await db.create(wanted, OPENING)

    answer = await db.retry(row, max_active=1, max_per_minute=1)

    assert (answer["outcome"], answer["prebooking"]["id"]) == ("exists", again["prebooking"]["id"])


# ---- within a minute ----------------------------------------------------------------------------------------------


async def test_within_any_minute_there_are_as_many_creates_as_allowed_and_the_wait_is_told(db: Functions) -> None:
    for second in (0, 10, 20):
        await db.at(NOW + seconds(second))
        created = await wish(db, max_per_minute=3)
        assert created["outcome"] == "created"
        await db.cancel(created["prebooking"]["id"])  # a cancelled one was made nevertheless

    await db.at(NOW + seconds(59.5))
    assert await wish(db, max_per_minute=3) == {"outcome": "too_many", "limit": 3, "retry_after": 0.5}
    await db.at(NOW + seconds(60))
    assert (await wish(db, max_per_minute=3))["outcome"] == "created"
    # The window slides: now the one of second 10 is the oldest.
    assert await wish(db, max_per_minute=3) == {"outcome": "too_many", "limit": 3, "retry_after": 10}


async def test_a_limit_that_was_lowered_waits_for_as_many_as_it_takes(db: Functions) -> None:
    for second in (0, 10, 20):
        await db.at(NOW + seconds(second))
        await wish(db)

    assert (await wish(db, max_per_minute=1))["retry_after"] == 60
    assert (await wish(db, max_per_minute=2))["retry_after"] == 50
    assert (await wish(db, max_per_minute=4))["outcome"] == "created"


async def test_a_refusal_does_not_lengthen_the_wait(db: Functions) -> None:
    await wish(db)
    for second in (1, 2, 3):
        await db.at(NOW + seconds(second))
        assert (await wish(db, max_per_minute=1))["retry_after"] == 60 - second


async def test_each_retry_of_one_row_counts_and_counts_with_the_creates(db: Functions) -> None:
    row = await prebooking(db, **failed())
    limits: dict[str, Any] = {"max_active": 10, "max_per_minute": 3}
    await wish(db)
    for second in (1, 2):
        await db.at(NOW + seconds(second))
        assert (await db.retry(row, **limits))["outcome"] == "retried"
        await db.connection.execute("update public.prebookings set status = 'failed' where id = $1", row)

    await db.at(NOW + seconds(3))
    assert await db.retry(row, **limits) == {"outcome": "too_many", "limit": 3, "retry_after": 57}
    assert await wish(db, **limits) == {"outcome": "too_many", "limit": 3, "retry_after": 57}
    await db.at(NOW + seconds(60))
    assert (await db.retry(row, **limits))["outcome"] == "retried"


async def test_each_move_counts_with_the_creates_and_retries_and_only_another_opening_is_a_move(db: Functions) -> None:
    row, again = await prebooking(db), await prebooking(db, **failed())
    await db.connection.execute("update public.prebookings set created_at = $1", NOW - timedelta(hours=1))
    limits: dict[str, Any] = {"max_per_minute": 3}
    assert (await wish(db, **limits))["outcome"] == "created"
    for second in (1, 2):
        await db.at(NOW + seconds(second))
        for _ in range(2):  # the second repeats it: its answer was lost
            assert (await db.reschedule(row, OPENING + seconds(second), **limits))["outcome"] == "rescheduled"

    await db.at(NOW + seconds(3))
    too_many = {"outcome": "too_many", "limit": 3, "retry_after": 57}
    assert await db.reschedule(row, OPENING + seconds(3), user_email="Ana@Example.com", **limits) == too_many
    assert await db.retry(again, **limits) == too_many
    assert await wish(db, **limits) == too_many
    assert (await db.row(row))["version"] == 3
    assert (await db.reschedule(row, OPENING + seconds(2), **limits))["outcome"] == "rescheduled"
    assert (await db.reschedule(row, GIVE_UP_AT, **limits))["outcome"] == "too_late"
    await db.at(NOW + seconds(60))
    assert (await db.reschedule(row, OPENING + seconds(3), **limits))["outcome"] == "rescheduled"


async def test_a_move_by_a_replica_of_an_earlier_version_is_never_refused_but_counts(db: Functions) -> None:
    row = await prebooking(db)
    for second in range(3):
        answer = await db.call(
            "reschedule_prebooking", id=row, user_email="ana@example.com", available_at=OPENING + seconds(second + 1)
        )
        assert answer["outcome"] == "rescheduled"

    assert (await wish(db, max_per_minute=3))["outcome"] == "too_many"


async def test_of_retries_no_more_is_kept_than_the_last_minute(db: Functions) -> None:
    row = await prebooking(db, **failed())
    for minute in range(5):
        await db.at(NOW + timedelta(minutes=minute))
        assert (await db.retry(row, user_email="Ana@Example.com"))["outcome"] == "retried"
        await db.connection.execute("update public.prebookings set status = 'failed' where id = $1", row)

    assert await db.connection.fetchval("select count(*) from prebooking.retries") == 1


async def test_without_a_limit_there_is_none(db: Functions) -> None:
    answers = [await wish(db) for _ in range(40)]

    assert {a["outcome"] for a in answers} == {"created"}


async def test_what_was_made_by_a_clock_that_has_been_put_back_keeps_nobody_out(db: Functions) -> None:
    await prebooking(db, created_at=NOW + timedelta(days=1))

    assert (await wish(db, max_per_minute=1))["outcome"] == "created"
