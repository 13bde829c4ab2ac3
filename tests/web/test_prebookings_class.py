"""POST /prebookings with the class by its hour and name."""

import json
from datetime import datetime
from typing import Any

import pytest
from tests.support.world import World
from tests.web.test_prebookings_opens import ANA, DAY, MADRID, START, create

EVENING = {"starts": "18:00", "name": "CrossFit"}
CANARY = "Atlantic/Canary"


def wish(told: Any, **more: Any) -> dict[str, Any]:
    body = {"box_subdomain": "mygym", "box_aimharder_id": 7, "booking_data": {"day": DAY}, "class": told}
    return body | ({} if "opens" in more else {"available_at": f"{DAY[:4]}-07-11T06:00:00Z"}) | more


async def test_hour_and_name_take_the_place_of_the_id(sweepless: World) -> None:
    status, row = await create(sweepless, wish(EVENING))
    assert (status, row["class"]) == (201, {**EVENING, **MADRID})
    assert row["booking_data"] == {"day": DAY, "familyId": "", "insist": 0}
    again, same = await create(sweepless, wish({"starts": "18:00", "name": " CROSSFIT"}))
    assert (again, same["id"]) == (200, row["id"])
    assert (await sweepless.read(ANA, row["id"]))["class"] == row["class"]


async def test_they_stand_beside_an_id(sweepless: World) -> None:
    status, row = await create(sweepless, wish({"starts": "18:00"}, booking_data={"day": DAY, "id": 501}))
    assert (status, row["booking_data"]["id"]) == (201, "501")
    assert row["class"] == {"starts": "18:00", "name": None, **MADRID}


@pytest.mark.parametrize(
    ("told", "more", "zone", "starts", "opening"),
    [
        (EVENING, {}, "Europe/Madrid", "16:00", "07-11T06:00"),
        (EVENING | {"time_zone": CANARY}, {}, CANARY, "17:00", "07-11T06:00"),
        (EVENING, {"opens": {"days_before": 4, "time_zone": CANARY}}, CANARY, "17:00", "07-11T17:00"),
        (EVENING, {"opens": {"hours_before": 36} | MADRID}, "Europe/Madrid", "16:00", "07-14T04:00"),
        (EVENING, {"opens": {"days_before": 2, "at": "22:00"} | MADRID}, "Europe/Madrid", "16:00", "07-13T20:00"),
        (EVENING | {"time_zone": CANARY}, {"opens": {"hours_before": 1} | MADRID}, CANARY, "17:00", "07-15T16:00"),
    ],
)
async def test_the_hour_is_an_instant_by_the_zone_of_the_class_else_of_the_rule_else_of_most_gyms(
    sweepless: World, told: dict[str, Any], more: dict[str, Any], zone: str, starts: str, opening: str
) -> None:
    status, row = await create(sweepless, wish(told, **more))
    assert (status, row["class"]["time_zone"]) == (201, zone)
    assert row["available_at"] == f"{DAY[:4]}-{opening}:00Z"
    known = await sweepless.database.fetchrow("select starts_at, give_up_at from public.prebookings")
    assert set(known) == {datetime.fromisoformat(f"{DAY[:4]}-07-15T{starts}:00+00:00")}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    (wish(None), "booking_data.id", "or its hour and name as `class`"),
    ({k: v for k, v in wish(None).items() if k != "class"}, "booking_data.id", "or its hour and name as `class`"),
    (wish({}), "class.starts", "missing"),
    *((wish({"starts": starts}), "class.starts", "HH:MM") for starts in ("8:00", "24:00", "18:00:00", "", None, 18)),
    *((wish({"starts": "18:00", "name": name}), "class.name", fix) for name, fix in (("", "empty"), ("  ", "empty"))),
    (wish({"starts": "18:00", "name": "a\0"}), "class.name", "U+0000"),
    (wish({"starts": "18:00", "name": "x" * 201}), "class.name", "200"),
    (wish({"starts": "18:00", "time_zone": "Madrid"}), "class.time_zone", "Europe/Madrid"),
    (wish([]), "class", "object"),
    (wish("18:00"), "class", "object"),
    (
        wish(EVENING, opens={"days_before": 4, "starts": "19:00"} | MADRID),
        "opens.starts",
        "class.starts is",
    ),
    (
        wish(EVENING | MADRID, booking_data={"day": DAY, "classTimeUTC": START}),
        "class.starts",
        "booking_data.classTimeUTC is",
    ),
    (
        wish(EVENING, booking_data={"day": DAY, "classTimeUTC": START}, opens={"days_before": 4} | MADRID),
        "class.starts",
        "leave classTimeUTC out",
    ),
]


@pytest.mark.parametrize(("body", "field", "fix"), WRONG, ids=lambda value: json.dumps(value)[-60:])
async def test_what_names_no_class_is_refused_by_field_with_the_fix(
    sweepless: World, body: dict[str, Any], field: str, fix: str
) -> None:
    status, answer = await create(sweepless, body)
    assert (status, answer["code"]) == (422, "invalid-request")
    assert [error["field"] for error in answer["errors"]] == [field]
    assert fix in answer["errors"][0]["message"]
    assert await sweepless.database.fetchval("select count(*) from public.prebookings") == 0


async def test_a_class_that_has_begun_by_its_own_hour_is_too_late(sweepless: World) -> None:
    status, answer = await create(sweepless, wish(EVENING, booking_data={"day": "20260715"}))
    assert (status, answer["errors"][0]["field"]) == (422, "available_at")
