"""Series over HTTP: made, changed and ended by their user, and filled whatever happens in between."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs
from tests.support.executions import ANA
from tests.support.world import BOX, Outside, World, open_world

BEA = "bea@example.com"
MADRID = ZoneInfo("Europe/Madrid")
TODAY = datetime.now(MADRID).date()
#: Of all weekdays, opening four days before: today's class may have begun, the next eleven or twelve days are due.
OPENS = {"days_before": 4, "time_zone": "Europe/Madrid"}


def day(days: int) -> str:
    return f"{TODAY + timedelta(days=days):%Y%m%d}"


def weekday(days: int) -> int:
    return (TODAY + timedelta(days=days)).isoweekday()


def wanted(**more: Any) -> dict[str, Any]:
    """The weekday of in six days: it opens in two, and the next one in nine."""
    return {
        "box_subdomain": BOX.slug,
        "box_aimharder_id": BOX.boid,
        "weekdays": [weekday(6)],
        "class": {"starts": "07:00", "name": "CrossFit"},
        "opens": OPENS,
    } | more


async def asked(world: World, method: str, path: str, user: str = ANA, **more: Any) -> httpx.Response:
    return await world.http.request(method, path, headers=world.speaking_for(user), **more)


async def made(world: World, **more: Any) -> dict[str, Any]:
    answer = await asked(world, "POST", "/series", json=wanted(**more))
    assert answer.status_code == 201, answer.text
    series: dict[str, Any] = answer.json()
    return series


async def changed(world: World, series: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await asked(world, "PATCH", f"/series/{series['id']}", json=more)
    assert answer.status_code == 200, answer.text
    now: dict[str, Any] = answer.json()
    return now


async def by_hand(world: World, days: int, **data: Any) -> dict[str, Any]:
    """A prebooking of the class at 07:00."""
    wish = {name: wanted()[name] for name in ("box_subdomain", "box_aimharder_id")}
    data = {"day": day(days), "id": 501} | data
    opens = OPENS | {"starts": "07:00"}
    answer = await asked(world, "POST", "/prebookings", json=wish | {"booking_data": data, "opens": opens})
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json()
    return row


async def rows(world: World, user: str = ANA, **query: str) -> list[dict[str, Any]]:
    found = await asked(world, "GET", "/prebookings", user, params=query)
    listed: list[dict[str, Any]] = found.json()["prebookings"]
    return sorted(listed, key=lambda row: str(row["booking_data"]["day"]))


def ids(series: dict[str, Any]) -> dict[str, str | None]:
    return {one["day"]: one["prebooking_id"] for one in series["next"]}


async def test_a_series_is_answered_with_its_fields_and_four_weeks_of_days(sweepless: World) -> None:
    series = await made(sweepless)
    assert {name: series[name] for name in wanted()} == wanted() | {"box_aimharder_id": "7"}
    assert (series["paused"], series["skip"], series["first_day"], series["last_day"]) == (False, [], None, None)
    assert [one["day"] for one in series["next"]] == [day(6), day(13), day(20), day(27)]
    opens_at = datetime.combine(TODAY + timedelta(days=2), datetime.min.time().replace(hour=7), MADRID).astimezone(UTC)
    first = series["next"][0]
    assert datetime.fromisoformat(first["opens_at"]) == opens_at
    assert (first["skipped"], first["reason"]) == (False, None)
    [row] = await rows(sweepless)
    assert ids(series) == {day(6): row["id"], day(13): None, day(20): None, day(27): None}
    assert (row["series_id"], row["status"], row["booking_data"]["day"]) == (series["id"], "pending", day(6))
    assert row["class"] == {"starts": "07:00", "name": "CrossFit", "time_zone": "Europe/Madrid"}
    assert datetime.fromisoformat(row["available_at"]) == opens_at
    assert len(sweepless.messages(row["id"])) == 1


async def test_all_fields_equal_to_one_that_is_there_is_that_one(sweepless: World) -> None:
    series = await made(sweepless, weekdays=[1, 3, 5])
    again = await asked(sweepless, "POST", "/series", json=wanted(weekdays=[5, 3, 1, 1], box_aimharder_id="7"))
    assert (again.status_code, again.json()) == (200, series | {"updated_at": again.json()["updated_at"]})
    other = await asked(sweepless, "POST", "/series", json=wanted(weekdays=[1, 3]))
    assert other.status_code == 201
    listed = (await asked(sweepless, "GET", "/series")).json()["series"]
    assert [one["id"] for one in listed] == [series["id"], other.json()["id"]]


async def test_anothers_series_is_as_one_that_is_not_there(sweepless: World) -> None:
    series = await made(sweepless)
    for id_ in (series["id"], str(uuid4()), "x"):
        for method in ("GET", "PATCH", "DELETE"):
            answer = await asked(sweepless, method, f"/series/{id_}", BEA, json={"paused": True})
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert (await asked(sweepless, "GET", "/series", BEA)).json() == {"series": []}
    assert (await asked(sweepless, "GET", f"/series/{series['id']}")).json()["paused"] is False


async def test_the_twenty_first_series_is_refused(sweepless: World) -> None:
    for number in range(20):
        await made(sweepless, **{"class": {"starts": f"{number:02}:00"}})
    answer = await asked(sweepless, "POST", "/series", json=wanted())
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many")
    again = await asked(sweepless, "POST", "/series", json=wanted(**{"class": {"starts": "00:00"}}))
    assert again.status_code == 200


async def test_what_has_opened_is_made_at_once_and_all_that_opens_within_eight_days(sweepless: World) -> None:
    await made(sweepless, weekdays=[1, 2, 3, 4, 5, 6, 7], first_day=day(1), **{"class": {"starts": "23:59"}})
    assert [row["booking_data"]["day"] for row in await rows(sweepless)] == [day(n) for n in range(1, 12)]


async def test_a_series_that_begins_in_a_year_has_its_first_day_made(sweepless: World) -> None:
    series = await made(sweepless, first_day=day(364), last_day=day(450))
    [row] = await rows(sweepless)
    assert row["booking_data"]["day"] == series["next"][0]["day"] >= day(364)


async def test_a_day_that_a_prebooking_made_by_hand_has_is_filled_by_it(sweepless: World) -> None:
    other = await by_hand(sweepless, 6)
    series = await made(sweepless)
    assert ids(series)[day(6)] == other["id"]
    [row] = await rows(sweepless)
    assert row["series_id"] is None
    await changed(sweepless, series, paused=True)
    assert (await asked(sweepless, "DELETE", f"/series/{series['id']}")).status_code == 204
    assert [row["status"] for row in await rows(sweepless)] == ["pending"]


async def test_a_day_of_two_series_is_made_once_and_by_the_second_when_the_first_has_ended(sweepless: World) -> None:
    first = await made(sweepless)
    second = await made(sweepless, weekdays=[weekday(6), weekday(7)])
    assert ids(second)[day(6)] == ids(first)[day(6)]
    assert len(await rows(sweepless)) == 2
    await asked(sweepless, "DELETE", f"/series/{first['id']}")
    now = await changed(sweepless, second)
    assert ids(now)[day(6)] not in (None, ids(first)[day(6)])


@pytest.mark.parametrize(
    "how", [{"paused": True}, {"skip": [day(6)]}, {"weekdays": [weekday(5)]}, {"last_day": day(5)}]
)
async def test_what_no_longer_fits_is_cancelled_and_made_anew_when_it_fits_again(
    sweepless: World, how: dict[str, Any]
) -> None:
    series = await made(sweepless)
    now = await changed(sweepless, series, **how)
    assert now[next(iter(how))] == how[next(iter(how))]
    assert [row["status"] for row in await rows(sweepless) if row["booking_data"]["day"] == day(6)] == ["cancelled"]
    back = {"paused": False, "skip": [], "weekdays": [weekday(6)], "last_day": None}
    again = await changed(sweepless, now, **back)
    assert ids(again)[day(6)] not in (None, ids(series)[day(6)])
    assert sorted(row["status"] for row in await rows(sweepless) if row["booking_data"]["day"] == day(6)) == [
        "cancelled",
        "pending",
    ]


async def test_a_change_that_is_repeated_changes_nothing(sweepless: World) -> None:
    series = await made(sweepless)
    how = {"skip": [day(13)], "class": {"starts": "08:00"}}
    assert await changed(sweepless, series, **how) == await changed(sweepless, series, **how)


async def test_a_skipped_day_is_shown_as_such(sweepless: World) -> None:
    series = await made(sweepless)
    now = await changed(sweepless, series, skip=[day(13), day(6), day(6)])
    assert now["skip"] == [day(6), day(13)]
    assert [one["skipped"] for one in now["next"]] == [True, True, False, False]
    assert ids(now)[day(20)]  # the first opening that is to come


async def test_another_hour_makes_another_prebooking(sweepless: World) -> None:
    series = await made(sweepless)
    now = await changed(sweepless, series, **{"class": {"starts": "08:00"}})
    assert now["class"] == {"starts": "08:00"}
    assert [(row["status"], row["class"]["starts"]) for row in await rows(sweepless, status="pending")] == [
        ("pending", "08:00")
    ]


async def test_a_rule_that_gives_the_same_openings_changes_no_prebooking(sweepless: World) -> None:
    series = await made(sweepless, opens={"days_before": 4, "time_zone": "UTC"})
    now = await changed(sweepless, series, opens={"hours_before": 96, "time_zone": "UTC"})
    assert now["opens"] == {"hours_before": 96, "time_zone": "UTC"}
    assert ids(now)[day(6)] == ids(series)[day(6)]


async def test_an_opening_that_was_moved_by_hand_stays_when_something_else_changes(sweepless: World) -> None:
    series = await made(sweepless)
    row = f"/prebookings/{ids(series)[day(6)]}"
    later = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    assert (await asked(sweepless, "PATCH", row, json={"available_at": later})).status_code == 200
    now = await changed(sweepless, series, skip=[day(13)], insist=0)
    assert ids(now)[day(6)] == ids(series)[day(6)]


async def test_cancelling_a_prebooking_of_a_series_skips_its_day(sweepless: World) -> None:
    series = await made(sweepless)
    await asked(sweepless, "DELETE", f"/prebookings/{ids(series)[day(6)]}")
    await sweepless.services.series.fill_due()
    now = (await asked(sweepless, "GET", f"/series/{series['id']}")).json()
    assert now["skip"] == [day(6)]
    assert ids(now)[day(6)] is None
    assert ids(now)[day(13)]  # the first opening that is to come, now


@pytest.mark.parametrize("keep", [False, True])
async def test_an_end_cancels_what_waits_or_leaves_it_as_an_ordinary_prebooking(
    sweepless: World, *, keep: bool
) -> None:
    series = await made(sweepless)
    path = f"/series/{series['id']}"
    answer = await asked(sweepless, "DELETE", path, params={"keep": "true"} if keep else {})
    assert (answer.status_code, answer.content) == (204, b"")
    [row] = await rows(sweepless)
    assert (row["status"], row["series_id"]) == (("pending", None) if keep else ("cancelled", series["id"]))
    for method in ("GET", "PATCH", "DELETE"):
        assert (await asked(sweepless, method, path, json={})).status_code == 404


async def test_no_room_is_a_reason_until_there_is_some(database: asyncpg.Connection, outside: Outside) -> None:
    async with open_world(database, *outside, sweep_seconds=0, max_active_prebookings=2) as world:
        other = [await by_hand(world, n, id=500 + n) for n in (7, 8)]
        series = await made(world)
        assert (series["next"][0]["prebooking_id"], series["next"][0]["reason"]) == (None, "too-many")
        assert [one["reason"] for one in series["next"][1:]] == [None] * 3
        await asked(world, "DELETE", f"/prebookings/{other[0]['id']}")
        await database.execute("update public.prebooking_series set look_at = now()")
        await world.services.series.fill_due()
        now = (await asked(world, "GET", f"/series/{series['id']}")).json()
        assert now["next"][0]["prebooking_id"]
        assert now["next"][0]["reason"] is None


async def test_a_series_that_cannot_be_read_keeps_no_other_from_being_filled(
    database: asyncpg.Connection, sweepless: World
) -> None:
    unreadable = await made(sweepless)
    series = await made(sweepless, **{"class": {"starts": "08:00"}})
    await asked(sweepless, "DELETE", f"/prebookings/{ids(series)[day(6)]}")
    await database.execute(
        "update public.prebooking_series set look_at = now(), weekly = weekly - $2 where id = $1",
        unreadable["id"],
        "weekdays",
    )
    with capture_logs() as logs:
        await sweepless.services.series.fill_due()
    told = [one for one in logs if one["event"] == "series_unreadable"]
    assert [(one["series_id"], one["fields"]) for one in told] == [(unreadable["id"], ["weekly.weekdays"])]
    assert ids((await asked(sweepless, "GET", f"/series/{series['id']}")).json())[day(13)]


async def test_a_series_that_cannot_be_read_is_left_out_of_the_list_and_can_be_ended(
    database: asyncpg.Connection, sweepless: World
) -> None:
    unreadable, other = await made(sweepless), await made(sweepless, **{"class": {"starts": "08:00"}})
    await database.execute(
        "update public.prebooking_series set weekly = weekly - 'weekdays' where id = $1", unreadable["id"]
    )
    listed = await asked(sweepless, "GET", "/series")
    assert [one["id"] for one in listed.json()["series"]] == [other["id"]]
    assert (await asked(sweepless, "DELETE", f"/series/{unreadable['id']}")).status_code == 204
    assert (await asked(sweepless, "DELETE", f"/series/{unreadable['id']}")).status_code == 404
    assert await database.fetchval("select count(*) from public.prebooking_series") == 1


async def test_the_creates_of_a_minute_are_not_used_up_by_series(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, max_creates_per_minute=1) as world:
        await made(world, weekdays=[1, 2, 3, 4, 5, 6, 7])
        assert len(await rows(world)) > 5
        await by_hand(world, 20)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"weekdays": []}, "weekdays"),
        ({"weekdays": [0]}, "weekdays.0"),
        ({"weekdays": [8]}, "weekdays.0"),
        ({"weekdays": ["1"]}, "weekdays.0"),
        ({"weekdays": [True]}, "weekdays.0"),
        ({"class": {"starts": "7:00"}}, "class.starts"),
        ({"class": {"starts": "07:00", "name": " "}}, "class.name"),
        ({"class": {}}, "class.starts"),
        ({"opens": {"time_zone": "Europe/Madrid"}}, "opens"),
        ({"opens": {"days_before": 4, "time_zone": "Europe/Nowhere"}}, "opens.time_zone"),
        ({"opens": {"days_before": 4, "hours_before": 4, "time_zone": "UTC"}}, "opens.hours_before"),
        ({"opens": {"days_before": 0, "time_zone": "UTC"}}, "opens"),
        ({"opens": {"days_before": 0, "at": "07:00", "time_zone": "UTC"}}, "opens"),
        ({"opens": {"hours_before": 0, "time_zone": "UTC"}}, "opens"),
        ({"first_day": "20260230"}, "first_day"),
        ({"first_day": "20300102", "last_day": "20300101"}, "last_day"),
        ({"insist": True}, "insist"),
        ({"box_subdomain": "my.gym"}, "box_subdomain"),
        ({"box_domain": "example.com"}, "box_domain"),
    ],
)
async def test_a_wrong_field_is_named(sweepless: World, wrong: dict[str, Any], field: str) -> None:
    series = await made(sweepless)
    for method, path, body in (
        ("POST", "/series", wanted(**wrong)),
        ("PATCH", f"/series/{series['id']}", wrong),
    ):
        answer = await asked(sweepless, method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), answer.text
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await asked(sweepless, "GET", f"/series/{series['id']}")).json() == series


@pytest.mark.parametrize(
    "wrong", [{"paused": 1}, {"paused": None}, {"skip": ["x"]}, {"skip": None}, {"weekdays": None}]
)
async def test_a_change_is_read_strictly(sweepless: World, wrong: dict[str, Any]) -> None:
    series = await made(sweepless)
    answer = await asked(sweepless, "PATCH", f"/series/{series['id']}", json=wrong)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith(next(iter(wrong)))


async def test_keep_is_true_or_false(sweepless: World) -> None:
    answer = await asked(sweepless, "DELETE", f"/series/{uuid4()}", params={"keep": "maybe"})
    assert answer.json()["errors"] == [{"field": "keep", "message": "must be true or false"}]
