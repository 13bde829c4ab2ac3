"""POST /prebookings with the box's rule in place of the instant."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.world import World

ANA = "ana@example.com"
DAY = f"{datetime.now(UTC) + timedelta(days=300):%Y}0715"  # summer time, and ahead
if datetime.now(UTC) + timedelta(days=30) > datetime.strptime(DAY + "+0000", "%Y%m%d%z"):
    DAY = f"{int(DAY[:4]) + 1}0715"
MADRID = {"time_zone": "Europe/Madrid"}


def wish(opens: Any, **data: Any) -> dict[str, Any]:
    return {
        "box_subdomain": "mygym",
        "box_aimharder_id": 7,
        "booking_data": {"day": DAY, "id": "501"} | data,
        "opens": opens,
    }


async def create(world: World, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = await world.http.post("/prebookings", headers=world.speaking_for(ANA), json=body)
    told: dict[str, Any] = answer.json()
    return answer.status_code, told


START = f"{DAY[:4]}-07-15T06:00:00Z"  # 08:00 on the wall


@pytest.mark.parametrize(
    ("opens", "data", "opening"),
    [
        ({"days_before": 4, "starts": "08:00"}, {}, "07-11T06:00:00Z"),
        ({"days_before": 4}, {"classTimeUTC": START}, "07-11T06:00:00Z"),
        ({"days_before": 4, "starts": "08:00"}, {"classTimeUTC": START}, "07-11T06:00:00Z"),
        ({"days_before": 2, "at": "22:00"}, {}, "07-13T20:00:00Z"),
        ({"days_before": 0, "at": "00:00"}, {"classTimeUTC": START}, "07-14T22:00:00Z"),
        ({"hours_before": 36, "starts": "08:00"}, {}, "07-13T18:00:00Z"),
        ({"hours_before": 36}, {"classTimeUTC": START}, "07-13T18:00:00Z"),
    ],
)
async def test_a_rule_tells_the_opening(
    sweepless: World, opens: dict[str, Any], data: dict[str, Any], opening: str
) -> None:
    status, row = await create(sweepless, wish(opens | MADRID, **data))
    assert (status, row["available_at"]) == (201, f"{DAY[:4]}-{opening}")
    assert row["booking_data"] == {"day": DAY, "id": "501", "familyId": "", "insist": 0} | data
    again, same = await create(sweepless, wish(opens | MADRID, **data))
    assert (again, same["id"]) == (200, row["id"])


NO_NUMBERS: list[Any] = [-1, 1.5, "four", True, [], 10**30, 2161]
WRONG: list[tuple[dict[str, Any], str, str]] = [
    (wish(MADRID), "opens", "days_before"),
    (wish({"days_before": 4, "hours_before": 4, "starts": "08:00"} | MADRID), "opens.hours_before", "not both"),
    (wish({"hours_before": 4, "at": "12:00", "starts": "08:00"} | MADRID), "opens.at", "needs days_before"),
    (wish({"days_before": 4, "starts": "08:00"}), "opens.time_zone", "missing"),
    (wish({"days_before": 4} | MADRID), "opens.starts", "HH:MM"),
    (wish({"hours_before": 4} | MADRID), "opens.starts", "HH:MM"),
    *(
        (wish({"days_before": 4, "starts": "08:00", "time_zone": zone}), "opens.time_zone", "Europe/Madrid")
        for zone in ("", "Madrid", "europe/madrid", "../../etc/passwd", "+01:00", "Europe/Madrid\0")
    ),
    *(
        (wish({"days_before": 4, "starts": starts} | MADRID), "opens.starts", "HH:MM")
        for starts in ("8:00", "24:00", "08:60", "08:00:00", "08:00\n", "", 800)
    ),
    *(
        (wish({name: value, "starts": "08:00"} | MADRID), f"opens.{name}", "number")
        for name in ("days_before", "hours_before")
        for value in NO_NUMBERS
    ),
    (
        wish({"days_before": 4, "starts": "09:00"} | MADRID, classTimeUTC=START),
        "opens.starts",
        "08:00 in Europe/Madrid",
    ),
    (
        wish({"days_before": 4} | MADRID, classTimeUTC=f"{DAY[:4]}-07-15T23:00:00Z"),
        "booking_data.classTimeUTC",
        "not on booking_data.day",
    ),
    (wish({"days_before": 4, "at": "12:00"} | MADRID) | {"available_at": START}, "available_at", "not both"),
    (wish(None), "available_at", "or the gym's rule"),
    (wish([]), "opens", "object"),
]


@pytest.mark.parametrize(("body", "field", "fix"), WRONG, ids=lambda value: json.dumps(value)[:60])
async def test_what_is_no_rule_is_refused_by_field_with_the_fix(
    sweepless: World, body: dict[str, Any], field: str, fix: str
) -> None:
    status, answer = await create(sweepless, body)
    assert (status, answer["code"]) == (422, "invalid-request")
    assert [error["field"] for error in answer["errors"]] == [field]
    assert fix in answer["errors"][0]["message"]
    assert await sweepless.database.fetchval("select count(*) from public.prebookings") == 0


async def test_a_rule_whose_class_is_over_is_too_late(sweepless: World) -> None:
    status, answer = await create(sweepless, wish({"days_before": 4, "starts": "08:00"} | MADRID, day="20260715"))
    assert (status, answer["errors"][0]["field"]) == (422, "opens")
