"""A class by its hour and name: the wish that it makes, and hours and names read as the service reads them."""

import random
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.postgres.factories import OPENING, booking_data
from tests.postgres.functions import NOW, Functions

from prebooking.domain.opening_rules import on_the_wall_clock
from prebooking.domain.wished_class import plain_name

DAY = {"day": "20990306"}
EVENING = {"starts": "18:00", "name": "CrossFit"}
MADRID = "Europe/Madrid"


async def create(db: Functions, told: dict[str, Any] | None, data: dict[str, Any] | None = None, **known: Any) -> Any:
    known |= {"class": told} if told else {}
    return await db.create(data or DAY, OPENING, **known)


async def test_the_row_keeps_the_class_and_its_start_ends_it(db: Functions) -> None:
    created = await create(db, {**EVENING, "time_zone": "Atlantic/Canary"})
    assert created["outcome"] == "created"
    assert created["prebooking"]["class"] == {**EVENING, "time_zone": "Atlantic/Canary"}
    row = await db.row(created["prebooking"]["id"])
    starts = datetime(2099, 3, 6, 18, tzinfo=ZoneInfo("Atlantic/Canary"))
    assert (row["starts_at"], row["give_up_at"], row["time_zone"]) == (starts, starts, "Atlantic/Canary")


async def test_a_row_without_a_class_has_none(db: Functions) -> None:
    assert (await create(db, None, booking_data()))["prebooking"]["class"] is None


async def test_the_zone_is_the_classes_else_the_rules_else_the_boxs_else_that_of_most_gyms(db: Functions) -> None:
    async def zone(starts: str, told: dict[str, Any], **known: Any) -> str:
        return str((await create(db, {"starts": starts, **told}, **known))["prebooking"]["class"]["time_zone"])

    assert await zone("07:00", {}) == MADRID
    assert await zone("08:00", {"time_zone": None}, time_zone="Atlantic/Canary") == "Atlantic/Canary"
    assert await zone("09:00", {"time_zone": "Europe/Paris"}, time_zone="Atlantic/Canary") == "Europe/Paris"
    await db.connection.execute("update public.prebookings set created_at = now() where class ->> 'starts' <> '08:00'")
    await db.connection.execute(
        "update public.prebookings set created_at = '2199-01-01' where class ->> 'starts' = '08:00'"
    )
    assert await zone("10:00", {}) == "Atlantic/Canary"
    assert await zone("10:00", {}, box="another") == MADRID
    assert await zone("10:00", {}, user_email="bea@example.com") == MADRID


async def test_a_start_that_was_told_as_an_instant_stands(db: Functions) -> None:
    data = booking_data()
    created = await create(db, EVENING, data)
    row = await db.row(created["prebooking"]["id"])
    assert row["starts_at"] == row["give_up_at"] == datetime.fromisoformat(data["classTimeUTC"])


@pytest.mark.parametrize(
    ("again", "same"),
    [
        ({"starts": "18:00", "name": "  crossfit "}, True),
        ({"starts": "18:00", "name": "CROSSFÍT", "time_zone": MADRID}, True),
        ({"starts": "18:30", "name": "CrossFit"}, False),
        ({"starts": "18:00", "name": "Yoga"}, False),
        ({"starts": "18:00", "name": None}, False),
        ({"starts": "18:00"}, False),
    ],
)
async def test_hour_and_name_stand_where_the_id_would_in_the_wish(
    db: Functions, again: dict[str, Any], *, same: bool
) -> None:
    first = await create(db, EVENING)
    second = await create(db, again)
    assert second["outcome"] == ("existing" if same else "created")
    assert (second["prebooking"]["id"] == first["prebooking"]["id"]) is same


async def test_beside_an_id_they_do_not(db: Functions) -> None:
    data = {**DAY, "id": "7"}
    first = await create(db, EVENING, data)
    assert (await create(db, {"starts": "09:00"}, data))["prebooking"]["id"] == first["prebooking"]["id"]
    assert (await create(db, EVENING))["outcome"] == "created"


async def test_an_id_that_reads_like_an_hour_and_a_name_is_another_wish(db: Functions) -> None:
    await create(db, EVENING)
    assert (await create(db, None, {**DAY, "id": '["18:00", "crossfit"]'}))["outcome"] == "created"


async def test_the_wishes_of_rows_with_an_id_are_what_they_were(db: Functions) -> None:
    key = await db.connection.fetchval(
        "select prebooking.wish_key('Ana@x', 'kap', $1)", {"day": "20990306", "id": 7, "familyId": "1"}
    )
    assert key == '["ana@x", "kap", "20990306", "7", "1"]'


async def test_the_class_of_a_request_belongs_to_its_idempotency_key(db: Functions) -> None:
    key = "5f0e8a3c-0000-4000-8000-000000000000"
    first = await create(db, EVENING, key=key)
    assert (await create(db, EVENING, key=key))["prebooking"]["id"] == first["prebooking"]["id"]
    assert (await create(db, {"starts": "19:00"}, key=key))["outcome"] == "key_reused"


async def test_database_and_service_compare_names_alike(db: Functions) -> None:
    # Of no newer Unicode than all databases know.
    letters = [chr(code) for code in (*range(1, 0x1C80), *range(0x1E00, 0x2100))]
    rng = random.Random(8)
    names = ["", "  ", "WOD  Ñandú", "İstanbul", "ΟΔΟΣ", "ЙОГА", "Straße", "A\u00a0B\u2003C", "ﬁt", "x\u0301\u0301"]
    names += ["".join(rng.choices(letters, k=12)) for _ in range(300)] + letters
    found = await db.connection.fetch(
        "select prebooking.plain_name(n) as plain from unnest($1::text[]) with ordinality u (n, i) order by i", names
    )
    differing = [
        (name, plain_name(name), row["plain"])
        for name, row in zip(names, found, strict=True)
        if plain_name(name) != row["plain"]
    ]
    assert differing == []


async def test_database_and_service_read_hours_alike_also_where_clocks_change(db: Functions) -> None:
    for zone in (MADRID, "Atlantic/Canary", "America/New_York", "Australia/Sydney"):
        for days in range(0, 370, 1 if zone == MADRID else 7):
            day = date(2026, 1, 1) + timedelta(days=days)
            for hour in (time(0), time(1, 30), time(2), time(2, 30), time(3), time(18)):
                told = await db.connection.fetchval(
                    "select prebooking.on_the_wall_clock($1, $2, $3)", f"{day:%Y%m%d}", f"{hour:%H:%M}", zone
                )
                assert told == on_the_wall_clock(day, hour, zone), (zone, day, hour)


@pytest.mark.parametrize(
    ("day", "hour", "zone"),
    [
        ("20260230", "08:00", MADRID),
        ("20260228", "25:00", MADRID),
        ("20260228", "08:00", "Europe/Nowhere"),
        ("x", "y", "z"),
    ],
)
async def test_what_is_no_hour_of_a_day_has_no_instant(db: Functions, day: str, hour: str, zone: str) -> None:
    assert await db.connection.fetchval("select prebooking.on_the_wall_clock($1, $2, $3)", day, hour, zone) is None
    assert await db.connection.fetchval("select prebooking.hour_of($1, 'Europe/Nowhere')", NOW) is None
