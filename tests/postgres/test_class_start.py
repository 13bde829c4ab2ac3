"""When a class starts: told, or learnt; and until when it is booked."""

from datetime import timedelta
from uuid import uuid4

import pytest
from tests.postgres.factories import GIVE_UP_AT, OPENING, booking_data, claimed, prebooking
from tests.postgres.functions import NOW, Answer, Functions, seconds

STARTS = NOW + timedelta(hours=3)
DAY_ALONE = {"day": "20990304", "id": "1"}
A_DAY_AND_A_HALF = NOW.replace(hour=0) + timedelta(hours=36)


async def start_and_end(db: Functions, answer: Answer) -> tuple[object, object]:
    row = await db.row(answer["prebooking"]["id"])
    return row["starts_at"], row["give_up_at"]


async def test_the_start_that_a_wish_tells_is_its_end(db: Functions) -> None:
    assert await start_and_end(db, await db.create(booking_data(), OPENING)) == (GIVE_UP_AT, GIVE_UP_AT)
    ruled = await db.create(DAY_ALONE, OPENING, starts_at=STARTS, time_zone="Europe/Madrid")
    assert await start_and_end(db, ruled) == (STARTS, STARTS)


async def test_a_class_whose_start_nobody_told_ends_after_its_day(db: Functions) -> None:
    assert await start_and_end(db, await db.create(DAY_ALONE, OPENING)) == (None, A_DAY_AND_A_HALF)


async def test_a_class_that_has_begun_by_its_rule_is_too_late(db: Functions) -> None:
    refused = await db.create(DAY_ALONE, OPENING, starts_at=OPENING)

    assert (refused["outcome"], refused["give_up_at"]) == ("too_late", OPENING.isoformat())


@pytest.mark.parametrize("told", ["infinity", "tomorrow", "2099-13-45T00:00:00Z", 7, None])
async def test_what_nobody_can_read_is_no_start(db: Functions, told: object) -> None:
    row = await prebooking(db, booking_data={**DAY_ALONE, "classTimeUTC": told})

    assert (await db.row(row))["starts_at"] is None


async def test_a_claim_tells_the_start_and_the_zone(db: Functions) -> None:
    made = await db.create(DAY_ALONE, OPENING, starts_at=STARTS, time_zone="Europe/Madrid")

    claim = await db.claim(made["prebooking"]["id"], uuid4())

    assert (claim["starts_at"], claim["time_zone"]) == (STARTS.isoformat(), "Europe/Madrid")


@pytest.mark.parametrize(
    ("before_s", "outcome"), [(3601, "begun"), (3600, "expired"), (30, "expired"), (-30, "expired")]
)
async def test_a_class_is_booked_until_so_many_minutes_before_its_start(
    db: Functions, before_s: float, outcome: str
) -> None:
    token = uuid4()
    row = await prebooking(db, **claimed(token))
    before = await db.row(row)
    await db.at(GIVE_UP_AT - seconds(before_s))

    answer = await db.begin(row, token, book_until=60)

    assert answer["outcome"] == outcome
    if outcome == "expired":
        assert answer["starts_at"] == GIVE_UP_AT.isoformat()
        assert await db.row(row) == before


async def test_where_the_start_is_unknown_nothing_is_forbidden_before_the_end(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, booking_data=DAY_ALONE, **claimed(token))
    await db.at(A_DAY_AND_A_HALF - seconds(1))

    assert (await db.begin(row, token, book_until=60))["outcome"] == "begun"


async def test_a_start_that_is_learnt_is_kept_also_where_it_forbids_the_begin(db: Functions) -> None:
    first, second = uuid4(), uuid4()
    early = await prebooking(db, booking_data={**DAY_ALONE, "id": "2"}, **claimed(first))
    late = await prebooking(db, booking_data=DAY_ALONE, **claimed(second))

    begins = await db.begin(early, first, book_until=0, starts_at=STARTS)
    refused = await db.begin(late, second, book_until=0, starts_at=NOW - seconds(30))

    assert (begins["outcome"], refused["outcome"]) == ("begun", "expired")
    assert await start_and_end(db, begins) == (STARTS, STARTS)
    assert await start_and_end(db, refused) == (NOW - seconds(30), NOW - seconds(30))


async def test_a_class_that_the_gym_moved_ends_with_its_new_start(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **claimed(token))

    answer = await db.begin(row, token, book_until=0, starts_at=STARTS)

    assert await start_and_end(db, answer) == (STARTS, STARTS)


async def test_nobody_but_the_holder_teaches_a_row_its_start(db: Functions) -> None:
    row = await prebooking(db, booking_data=DAY_ALONE, **claimed(uuid4()))
    before = await db.row(row)

    assert (await db.begin(row, uuid4(), book_until=0, starts_at=STARTS))["outcome"] == "lost"
    assert await db.row(row) == before


async def test_a_repeated_begin_is_told_that_it_has_begun_though_the_class_is_near_by_now(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **claimed(token))
    await db.begin(row, token, book_until=60)
    await db.at(GIVE_UP_AT - seconds(60))

    assert (await db.begin(row, token, book_until=60))["outcome"] == "begun"


async def test_a_retry_by_hand_after_a_learnt_start_is_too_late(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, booking_data=DAY_ALONE, **claimed(token))
    await db.begin(row, token, book_until=0, starts_at=NOW)
    await db.finish(row, token, "expired")

    assert (await db.retry(row))["outcome"] == "too_late"
