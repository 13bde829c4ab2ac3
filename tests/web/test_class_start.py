"""Until when a class is booked: its start is kept where told, learnt where its clock is known, else not guessed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from tests.support.executions import ANA, bookings_asked, delivered
from tests.support.world import BOX, CLASS_ID, Outside, World, open_world

from prebooking.domain.class_start import start_of

MADRID = ZoneInfo("Europe/Madrid")
TOO_CLOSE = "The class begins too soon: it is booked until 60 minutes before (BOOK_UNTIL_MINUTES_BEFORE=60)."


@pytest.fixture
async def an_hour_before(database: asyncpg.Connection, outside: Outside) -> AsyncIterator[World]:
    async with open_world(database, *outside, sweep_seconds=0, book_until_minutes_before=60) as running:
        yield running


def starts_in(minutes: float) -> datetime:
    return (datetime.now(MADRID) + timedelta(minutes=minutes)).replace(second=0, microsecond=0)


async def prebooked(
    world: World, starts: datetime, data: dict[str, Any], opens: dict[str, Any] | None
) -> dict[str, Any]:
    """Ana's prebooking of a class that opened yesterday."""
    day, opened = f"{starts:%Y%m%d}", datetime.now(UTC) - timedelta(minutes=1)
    await world.member(ANA)
    world.open_class(day=day, time=f"{starts:%H:%M} - {starts + timedelta(hours=1):%H:%M}", opens_at=opened.isoformat())
    told: dict[str, Any] = (
        {"available_at": opened.isoformat()}
        if opens is None
        else {"opens": {"days_before": 1, "at": "00:00", "time_zone": "Europe/Madrid"} | opens}
    )
    wish = {
        "box_subdomain": BOX.slug,
        "box_aimharder_id": BOX.boid,
        "booking_data": {"day": day, "id": CLASS_ID} | data,
    }
    answer = await world.http.post("/prebookings", headers=world.speaking_for(ANA), json=wish | told)
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json()
    return row


async def start(world: World, row: dict[str, Any]) -> datetime | None:
    found: datetime | None = await world.database.fetchval(
        "select starts_at from public.prebookings where id = $1", row["id"]
    )
    return found


TOLD = ["classTimeUTC", "opens.starts", "the listing"]


def telling(how: str, starts: datetime) -> tuple[dict[str, Any], dict[str, Any] | None]:
    if how == "classTimeUTC":
        return {"classTimeUTC": starts.isoformat()}, None
    return {}, {"starts": f"{starts:%H:%M}"} if how == "opens.starts" else {}


@pytest.mark.parametrize("how", TOLD)
async def test_a_class_that_begins_too_soon_is_not_booked_and_the_setting_is_named(
    an_hour_before: World, how: str
) -> None:
    starts = starts_in(30)
    row = await prebooked(an_hour_before, starts, *telling(how, starts))
    answered = await delivered(an_hour_before, row)
    assert (answered.status, answered.outcome) == (200, "expired")
    row = await an_hour_before.read(ANA, row["id"])
    assert (row["status"], row["error_code"], row["error_message"]) == ("failed", "expired", TOO_CLOSE)
    assert not bookings_asked(an_hour_before)
    assert await start(an_hour_before, row) == starts


@pytest.mark.parametrize("how", TOLD)
async def test_a_class_that_begins_later_than_that_is_booked(an_hour_before: World, how: str) -> None:
    starts = starts_in(90)
    row = await prebooked(an_hour_before, starts, *telling(how, starts))
    assert (await delivered(an_hour_before, row)).outcome == "booked"
    assert await start(an_hour_before, row) == starts


async def test_a_start_by_an_unknown_clock_is_not_guessed(an_hour_before: World) -> None:
    row = await prebooked(an_hour_before, starts_in(30), {}, None)
    assert (await delivered(an_hour_before, row)).outcome == "booked"
    assert await start(an_hour_before, row) is None


async def test_a_class_that_has_begun_is_not_booked(sweepless: World) -> None:
    row = await prebooked(sweepless, starts_in(-5), {}, {})
    assert (await delivered(sweepless, row)).outcome == "expired"
    row = await sweepless.read(ANA, row["id"])
    assert row["error_message"] == "The class had begun before it could be booked (BOOK_UNTIL_MINUTES_BEFORE=0)."
    assert not bookings_asked(sweepless)


async def test_a_class_that_has_begun_by_its_own_rule_is_refused_at_once(sweepless: World) -> None:
    starts = starts_in(-5)
    rule = {"days_before": 1, "time_zone": "Europe/Madrid", "starts": f"{starts:%H:%M}"}
    wish = {"box_subdomain": BOX.slug, "box_aimharder_id": BOX.boid, "opens": rule}
    wish["booking_data"] = {"day": f"{starts:%Y%m%d}", "id": CLASS_ID}
    answer = await sweepless.http.post("/prebookings", headers=sweepless.speaking_for(ANA), json=wish)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "opens")


@pytest.mark.parametrize(
    ("hour", "zone", "expected"),
    [
        ("08:00 - 09:00", "Europe/Madrid", datetime(2026, 11, 28, 7, tzinfo=UTC)),
        (" 8:00-9:00", "Atlantic/Canary", datetime(2026, 11, 28, 8, tzinfo=UTC)),
        ("08:00:00", "Europe/Madrid", datetime(2026, 11, 28, 7, tzinfo=UTC)),
        ("24:00 - 01:00", "Europe/Madrid", None),
        ("08:000", "Europe/Madrid", None),
        ("all day", "Europe/Madrid", None),
        (None, "Europe/Madrid", None),
        ("08:00 - 09:00", None, None),
        ("08:00 - 09:00", "Europe/Nowhere", None),
    ],
)
def test_a_listed_hour_is_an_instant_only_where_both_can_be_read(
    hour: str | None, zone: str | None, expected: datetime | None
) -> None:
    assert start_of("20261128", hour, zone) == expected


def test_a_day_that_is_none_has_no_start() -> None:
    assert start_of("20261399", "08:00", "Europe/Madrid") is None
