"""Series: each due day is made at most once, and what a user does to a day or a series holds from then on."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.postgres.factories import STATES, begun, prebooking
from tests.postgres.functions import NOW, Functions, seconds
from tests.postgres.weekly import (
    ANA,
    DAY,
    NEXT,
    STARTS,
    WEEKLY,
    change,
    due,
    end,
    fill,
    made,
    make_series,
    put,
    read,
    status,
)

BEA = "bea@example.com"


def of_the_same_class(**more: Any) -> dict[str, Any]:
    """A prebooking of the series' Friday, made by hand."""
    return {
        "booking_data": {"day": DAY, "id": "501", "familyId": ""},
        "starts_at": STARTS,
        "available_at": NOW + timedelta(days=1),
        **more,
    }


async def test_all_fields_equal_to_one_that_is_there_is_that_one(db: Functions) -> None:
    series = await make_series(db)
    again = await db.call("create_series", id=uuid4(), user_email="ANA@example.com", weekly=WEEKLY, most=20)
    assert (again["outcome"], again["series"]["id"]) == ("existing", series["id"])
    other = await db.call("create_series", id=uuid4(), user_email=ANA, weekly=WEEKLY | {"insist": 1}, most=20)
    assert other["outcome"] == "created"
    of_bea = await db.call("create_series", id=uuid4(), user_email=BEA, weekly=WEEKLY, most=20)
    assert of_bea["outcome"] == "created"


async def test_a_create_whose_answer_was_lost_is_answered_again(db: Functions) -> None:
    series = await make_series(db)
    await change(db, series, paused=True)
    again = await db.call("create_series", id=UUID(series["id"]), user_email=ANA, weekly=WEEKLY, most=20)
    assert (again["outcome"], again["series"]["paused"]) == ("created", True)


async def test_a_user_has_so_many_series_and_no_more(db: Functions) -> None:
    for number in range(3):
        await make_series(db, starts=f"0{number}:00")
    answer = await db.call("create_series", id=uuid4(), user_email=ANA, weekly=WEEKLY | {"starts": "09:00"}, most=3)
    assert answer == {"outcome": "too_many", "limit": 3}


async def test_a_due_day_becomes_an_ordinary_prebooking(db: Functions) -> None:
    series = await make_series(db)
    day = due()
    answer = await fill(db, series, day, look_at=NOW + timedelta(days=3))
    (row,) = answer["made"]
    assert answer["outcome"] == "filled"
    assert (row["id"], row["series_id"], row["status"]) == (day["id"], series["id"], "pending")
    assert row["class"] == {"starts": "07:00", "name": "WOD", "time_zone": "Europe/Madrid"}
    assert row["booking_data"] == {"day": DAY, "familyId": "", "insist": 0}
    kept = await db.row(UUID(day["id"]))
    assert (kept["starts_at"], kept["give_up_at"]) == (STARTS, STARTS)
    assert answer["series"]["taken"] == [{"day": DAY, "prebooking_id": day["id"], "own": True}]


async def test_a_day_is_made_once_however_often_it_is_asked_for(db: Functions) -> None:
    series = await make_series(db)
    day = due()
    first = await fill(db, series, day)
    repeated = await fill(db, series, day)
    assert [row["id"] for row in repeated["made"]] == [row["id"] for row in first["made"]] == [day["id"]]
    assert (await fill(db, series, due()))["outcome"] == "stale"
    answer = await fill(db, first["series"], due())
    assert (answer["outcome"], answer["made"]) == ("filled", [])


@pytest.mark.parametrize("state", ["claimed", "begun", "parked", "completed", "failed"])
async def test_a_day_that_has_ended_or_is_being_booked_is_not_made_again(db: Functions, state: str) -> None:
    series = await make_series(db)
    row = await made(db, series)
    await put(db, row, **STATES[state](uuid4()))
    assert (await fill(db, await read(db, series), due()))["made"] == []


@pytest.mark.parametrize(
    "by_hand",
    [
        {},
        {"status": "completed"},
        {"booking_data": {"day": DAY, "id": "501", "familyId": "", "activityName": "wód"}},
        {"starts_at": None, "class": {"starts": "07:00", "name": None, "time_zone": "Europe/Madrid"}},
        {"series_id": uuid4()},
    ],
)
async def test_a_day_that_another_prebooking_has_is_filled_by_it(db: Functions, by_hand: dict[str, Any]) -> None:
    other = await prebooking(db, **of_the_same_class(**by_hand))
    series = await make_series(db)
    answer = await fill(db, series, due())
    assert answer["made"] == []
    assert answer["series"]["taken"] == [{"day": DAY, "prebooking_id": str(other), "own": False}]
    assert (await db.row(other))["series_id"] == by_hand.get("series_id")
    await change(db, answer["series"], paused=True, cancel=[str(other)])
    await end(db, series)
    assert await status(db, other) == by_hand.get("status", "pending")  # only its own maker cancels it


@pytest.mark.parametrize(
    "by_hand",
    [
        {"status": "cancelled"},
        {"status": "failed"},
        {"status": "completed", "result": {"given_back_at": NOW.isoformat()}},
        {"starts_at": STARTS + timedelta(hours=1)},
        {"starts_at": None},
        {"user_email": BEA},
        {"box_subdomain": "other"},
        {"booking_data": {"day": DAY, "id": "501", "familyId": "9"}},
        {"booking_data": {"day": NEXT, "id": "501", "familyId": ""}},
        {"booking_data": {"day": DAY, "id": "501", "familyId": "", "activityName": "Yoga"}},
    ],
)
async def test_what_ended_without_a_place_or_is_another_class_fills_nothing(
    db: Functions, by_hand: dict[str, Any]
) -> None:
    await prebooking(db, **of_the_same_class(**by_hand))
    series = await make_series(db)
    assert len((await fill(db, series, due()))["made"]) == 1


async def test_no_room_is_told_once_and_the_day_is_made_once_there_is_some(db: Functions) -> None:
    rows = [await prebooking(db) for _ in range(2)]
    series = await make_series(db)
    days = [due(), due(1)]
    for _ in range(2):
        answer = await fill(db, await read(db, series), *days, most=2)
        assert answer["made"] == []
        assert answer["series"]["reasons"] == {DAY: "too-many", NEXT: "too-many"}
    (notice,) = (await db.call("take_notices", capabilities=["series"]))["notices"]
    assert (notice["kind"], notice["prebooking"], notice["series"]["id"]) == ("not_made", None, series["id"])
    assert (await db.call("take_series"))["series"] == []
    await db.at(NOW + seconds(61))
    assert [one["id"] for one in (await db.call("take_series"))["series"]] == [series["id"]]
    for row in rows:
        await db.cancel(row)
    answer = await fill(db, await read(db, series), *days, most=2)
    assert (len(answer["made"]), answer["series"]["reasons"]) == (2, {})


async def test_a_day_that_is_neither_made_nor_taken_has_a_reason_which_is_no_want_of_room(db: Functions) -> None:
    wished = {"starts": "07:00", "name": "WOD", "time_zone": "Europe/Madrid"}
    by_hand = of_the_same_class(booking_data={"day": DAY, "familyId": ""}) | {"class": wished}
    other = await prebooking(db, **by_hand)
    await put(db, other, **{"class": wished | {"starts": "08:00"}})  # the same wish, of another class by now
    series = await make_series(db)
    answer = await fill(db, series, due(), due(1), due(2), most=2)
    assert [row["booking_data"]["day"] for row in answer["made"]] == [NEXT]
    assert answer["series"]["reasons"] == {DAY: "exists", due(2)["day"]: "too-many"}
    (notice,) = (await db.call("take_notices", capabilities=["series"]))["notices"]
    assert notice["series"]["reasons"] == {due(2)["day"]: "too-many"}
    await db.cancel(other)
    answer = await fill(db, await read(db, series), due(), due(1), due(2))
    assert (len(answer["made"]), answer["series"]["reasons"]) == (2, {})


async def test_a_replica_of_an_earlier_version_is_given_no_notice_of_a_series(db: Functions) -> None:
    series = await make_series(db)
    await fill(db, series, due(), most=0)
    assert (await db.call("take_notices", limit=50))["notices"] == []


async def test_what_a_series_makes_counts_as_active_and_not_among_the_creates_of_a_minute(db: Functions) -> None:
    series = await make_series(db)
    assert len((await fill(db, series, *(due(week) for week in range(3))))["made"]) == 3
    wish = {"day": "20990401", "id": "9"}
    assert (await db.create(wish, NOW, max_active=3))["limit"] == 3
    assert (await db.create(wish, NOW, max_per_minute=1))["outcome"] == "created"
    assert (await db.create({"day": "20990402", "id": "9"}, NOW, max_per_minute=1))["outcome"] == "too_many"
    assert await db.connection.fetchval("select prebooking.ordered_lately($1)", ANA) == 1  # by hand


async def test_of_two_prebookings_of_a_day_the_series_own_has_it(db: Functions) -> None:
    series = await make_series(db)
    row = await made(db, series)
    await prebooking(db, **of_the_same_class())  # created before it
    assert (await read(db, series))["taken"] == [{"day": DAY, "prebooking_id": str(row), "own": True}]


async def test_a_day_is_taken_while_it_is_today_anywhere(db: Functions) -> None:
    series = await make_series(db, time_zone="America/Los_Angeles")
    await made(db, series)
    await db.at(STARTS + timedelta(days=1))
    assert [one["day"] for one in (await read(db, series))["taken"]] == [DAY]
    await db.at(STARTS + timedelta(days=2))
    assert (await read(db, series))["taken"] == []


async def test_days_skipped_long_ago_are_forgotten(db: Functions) -> None:
    series = await make_series(db)
    row = await made(db, series)
    long_ago, lately = (f"{NOW - timedelta(days=days):%Y%m%d}" for days in (31, 29))
    await change(db, await read(db, series), skip=[long_ago, lately])
    await db.cancel(row)
    assert (await read(db, series))["skip"] == [lately, DAY]


async def test_a_cancelled_day_is_skipped_and_its_place_is_free(db: Functions) -> None:
    series = await make_series(db)
    row = await made(db, series)
    assert (await db.cancel(row))["outcome"] == "cancelled"
    now = await read(db, series)
    assert (now["skip"], now["taken"]) == ([DAY], [])
    assert (await fill(db, series, due()))["outcome"] == "stale"  # who read it before does not make it again
    await db.cancel(row)
    assert (await read(db, series))["revision"] == now["revision"]
    assert [one["id"] for one in (await db.call("take_series"))["series"]] == [series["id"]]


@pytest.mark.parametrize("own", [True, False])
async def test_giving_the_place_back_skips_the_day(db: Functions, *, own: bool) -> None:
    series = await make_series(db)
    row = await made(db, series) if own else await prebooking(db, **of_the_same_class())
    await put(db, row, status="completed", executed_at=NOW)
    token = uuid4()
    begun_ = await db.call("begin_giving_back", id=row, user_email=ANA, token=token, lease_seconds=30)
    assert begun_["outcome"] == "leased"
    assert (await db.call("end_giving_back", id=row, token=token, given_back=True))["outcome"] == "given_back"
    now = await read(db, series)
    assert (now["skip"], now["taken"]) == ([DAY], [])


async def test_a_change_cancels_what_no_longer_fits_and_leaves_what_has_begun(db: Functions) -> None:
    series = await make_series(db)
    waiting, being_booked = await made(db, series), await made(db, series, 1)
    await put(db, being_booked, **begun(uuid4()))
    other = await prebooking(db)
    read_now = await read(db, series)
    cancel = [str(row) for row in (waiting, being_booked, other)]
    answer = await change(db, read_now, paused=True, cancel=cancel)
    assert (answer["outcome"], [row["id"] for row in answer["cancelled"]]) == ("changed", [str(waiting)])
    assert [await status(db, row) for row in (waiting, being_booked, other)] == ["cancelled", "executing", "pending"]
    assert (answer["series"]["paused"], answer["series"]["skip"]) == (True, [])
    assert (await change(db, read_now, paused=False))["outcome"] == "stale"


@pytest.mark.parametrize("goes", ["by_hand", "of_another_series", "with_another_series", "in_a_change_of_another"])
async def test_a_day_whose_other_prebooking_is_cancelled_is_looked_for_at_once(db: Functions, goes: str) -> None:
    other = await make_series(db, insist=1)
    row = await (prebooking(db, **of_the_same_class()) if goes == "by_hand" else made(db, other))
    series, unconcerned = await make_series(db), await make_series(db, starts="08:00")
    await fill(db, unconcerned)
    filled = await fill(db, series, due())
    assert (filled["made"], filled["series"]["taken"][0]["prebooking_id"]) == ([], str(row))
    await db.at(NOW + seconds(10))
    await db.call("take_series")
    if goes == "with_another_series":
        await end(db, other)
    elif goes == "in_a_change_of_another":
        await change(db, await read(db, other), paused=True, cancel=[str(row)])
    else:
        await db.cancel(row)
    assert series["id"] in (looked_at := [one["id"] for one in (await db.call("take_series"))["series"]])
    assert unconcerned["id"] not in looked_at
    # Whoever read it before does not put it off again, since that one knows of no day to make.
    assert (await fill(db, filled["series"]))["outcome"] == "stale"
    assert len((await fill(db, await read(db, series), due()))["made"]) == 1


async def test_a_day_whose_other_prebooking_cannot_be_cancelled_stays_with_it(db: Functions) -> None:
    other = await make_series(db, insist=1)
    row = await made(db, other)
    series = await make_series(db)
    filled = (await fill(db, series, due()))["series"]
    await put(db, row, **begun(uuid4()))
    await change(db, await read(db, other), paused=True, cancel=[str(row)])
    assert await read(db, series) == filled


async def test_who_changes_without_end_has_to_wait(db: Functions) -> None:
    series = await make_series(db)
    assert len((await fill(db, series, *(due(week) for week in range(4)), most=15))["made"]) == 4
    answer = await change(db, await read(db, series), paused=True, most=1)
    assert (answer["outcome"], answer["retry_after"]) == ("too_many", 60)
    await db.at(NOW + seconds(61))
    for _ in range(4):
        await prebooking(db, created_at=NOW + seconds(61))  # by hand: none of a series
    assert (await change(db, await read(db, series), paused=True, most=1))["outcome"] == "changed"


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("state", ["pending", "claimed", "begun"])
async def test_an_end_cancels_what_has_not_begun_or_leaves_it_as_ordinary_prebookings(
    db: Functions, state: str, *, keep: bool
) -> None:
    series = await make_series(db)
    row = await made(db, series)
    columns = {"status": "pending"} | STATES[state](uuid4())
    await put(db, row, **columns)
    answer = await end(db, series, keep=keep)
    goes = not keep and state != "begun"
    assert [one["id"] for one in answer["cancelled"]] == ([str(row)] if goes else [])
    kept = await db.row(row)
    assert (kept["status"], kept["series_id"]) == (
        "cancelled" if goes else columns["status"],
        None if keep else UUID(series["id"]),
    )
    assert await end(db, series) == {"outcome": "not_found"}
    assert (await fill(db, series, due(1)))["outcome"] == "not_found"


async def test_anothers_series_is_as_one_that_is_not_there(db: Functions) -> None:
    series = await make_series(db)
    of_bea = series | {"user_email": BEA}
    assert (await db.call("list_series", user_email=BEA))["series"] == []
    assert await change(db, of_bea, paused=True) == {"outcome": "not_found"}
    assert await end(db, of_bea) == {"outcome": "not_found"}


async def test_what_has_a_day_to_make_is_given_to_one_at_a_time(db: Functions) -> None:
    series = await make_series(db)
    assert (await db.call("take_series"))["series"] == []  # its maker comes first
    await db.at(NOW + seconds(5))
    assert [one["id"] for one in (await db.call("take_series"))["series"]] == [series["id"]]
    assert (await db.call("take_series"))["series"] == []
    await db.at(NOW + seconds(65))
    assert [one["id"] for one in (await db.call("take_series"))["series"]] == [series["id"]]
    await fill(db, series, look_at=NOW + timedelta(days=1))
    await db.at(NOW + timedelta(hours=23))
    assert (await db.call("take_series"))["series"] == []


async def test_of_all_that_have_a_day_to_make_the_first_due_is_given_first(db: Functions) -> None:
    series = [await make_series(db, name=f"{place}") for place in range(3)]
    for one, ago_s in zip(series, (1, 3, 2), strict=True):
        await db.connection.execute(
            "update public.prebooking_series set look_at = $2 where id = $1", UUID(one["id"]), NOW - seconds(ago_s)
        )
    given = [(await db.call("take_series", limit=1))["series"][0]["id"] for _ in range(3)]
    assert given == [series[place]["id"] for place in (1, 2, 0)]


async def test_a_series_follows_its_user_to_another_e_mail(db: Functions) -> None:
    await db.call("own_email", sub="first", email=ANA)
    series = await make_series(db)
    row = await made(db, series)
    await db.call("own_email", sub="first", email="new@example.com")
    now = await read(db, series | {"user_email": "new@example.com"})
    assert now["taken"] == [{"day": DAY, "prebooking_id": str(row), "own": True}]
    assert (await db.call("list_series", user_email=ANA))["series"] == []


async def test_a_released_e_mail_has_no_series(db: Functions) -> None:
    series = await make_series(db)
    row = await made(db, series)
    await db.call("release_email", email=ANA)
    assert await status(db, row) == "cancelled"
    assert (await db.call("list_series", user_email=ANA))["series"] == []
    await db.at(NOW + timedelta(days=30))
    assert (await db.call("take_series"))["series"] == []


async def read_of_prebookings(db: Functions) -> tuple[int, int]:
    """How often the table was read from end to end, and how many rows were fetched by index."""
    row = await db.connection.fetchrow(
        "select seq_scan, coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables"
        " where schemaname = 'public' and relname = 'prebookings'"
    )
    return row[0], row[1]


async def test_what_waits_of_a_series_is_found_by_index_however_many_others_wait(db: Functions) -> None:
    many = [await make_series(db, starts=f"{hour:02}:00") for hour in range(7)]
    first, *_ = [await made(db, series) for series in many]
    # Of users, of other series, and of this one what has ended.
    await db.connection.execute(
        "insert into public.prebookings (id, user_email, box_subdomain, box_aimharder_id, booking_data, wish_key,"
        " available_at, give_up_at, created_at, series_id, status)"
        " select gen_random_uuid(), p.user_email || n, p.box_subdomain, p.box_aimharder_id, p.booking_data,"
        " p.wish_key || n, p.available_at, p.give_up_at, p.created_at,"
        " case n % 3 when 0 then gen_random_uuid() when 1 then p.series_id end,"
        " case n % 3 when 1 then 'cancelled' else 'pending' end"
        " from public.prebookings p, generate_series(1, 3000) n where p.id = $1",
        first,
    )
    await db.connection.execute(
        "insert into prebooking.notices (key, kind, prebooking, created_at, try_after)"
        " select gen_random_uuid()::text, 'booked', jsonb_build_object('series_id', case n % 2 when 0 then $1 end),"
        " $2, $2 from generate_series(1, 100) n",
        many[0]["id"],
        NOW,
    )
    await db.connection.execute("reset role; analyze public.prebookings; set local role service_role")
    scans, fetched = await read_of_prebookings(db)
    for _ in range(2):
        notices = (await db.call("take_notices", limit=50, capabilities=["series"]))["notices"]
        assert [one["next"] and one["next"]["id"] for one in notices].count(str(first)) == 25
    for series in many:  # from the sixth on it is planned for any value
        assert len((await end(db, series))["cancelled"]) == 1
    after, fetched_after = await read_of_prebookings(db)
    assert (after, fetched_after - fetched < 200) == (scans, True)
