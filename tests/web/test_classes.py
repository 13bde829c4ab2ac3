"""A member looks at what a gym offers: through their own session, a few seconds old at most."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.support.executions import ANA, LISTING, REFRESH, WHOAMI, book, inject_fault
from tests.support.world import World

from prebooking.adapters.clock import SystemClock
from prebooking.concurrency.rate_limit import RateLimiter
from prebooking_local.aimharder import Box

BEA = "bea@example.com"
DAY = "20300715"
MADRID = {"time_zone": "Europe/Madrid"}


async def get(world: World, email: str = ANA, box: str = "mygym", **query: Any) -> httpx.Response:
    params = {"day": DAY} | query
    return await world.http.get(f"/boxes/{box}/classes", headers=world.speaking_for(email), params=params)


async def listed(world: World, email: str = ANA, **query: Any) -> list[dict[str, Any]]:
    answer = await get(world, email, **query)
    assert answer.status_code == 200, answer.text
    classes: list[dict[str, Any]] = answer.json()["classes"]
    return classes


def seconds_later(world: World) -> None:
    """What was kept is forgotten."""
    world.services.class_listings.session_and_boxes.cache_clear()
    world.services.class_listings.classes.cache_clear()


def put_up(world: World) -> None:
    world.open_class(class_id=501, day=DAY, time="08:00 - 09:00", name="WOD", capacity=12, others=3)
    world.open_class(class_id=502, day=DAY, time="19:30 - 20:15", name="Open Box", resadmin=1)


async def test_the_classes_of_a_day_and_what_the_user_has_of_them(sweepless: World) -> None:
    await sweepless.member(ANA)
    put_up(sweepless)
    book(sweepless, 501)
    answer = await get(sweepless)
    assert answer.status_code == 200
    assert answer.json() | {"classes": []} == {
        "box_subdomain": "mygym",
        "box_aimharder_id": "7",
        "day": DAY,
        "classes": [],
    }
    wod, open_box = answer.json()["classes"]
    assert wod == {
        "id": "501",
        "name": "WOD",
        "coach": None,
        "starts": "08:00",
        "ends": "09:00",
        "starts_at": None,
        "opens_at": None,
        "capacity": 12,
        "taken": 4,
        "waiting": 0,
        "you": "booked",
        "bookable": True,
        "cancelled": False,
    }
    assert (open_box["id"], open_box["bookable"], open_box["you"]) == ("502", False, None)


@pytest.mark.parametrize(
    ("rule", "opens_at"),
    [
        (MADRID, None),
        (MADRID | {"days_before": 4}, "2030-07-11T06:00:00Z"),
        (MADRID | {"days_before": 4, "at": "22:00"}, "2030-07-11T20:00:00Z"),
        (MADRID | {"hours_before": 24}, "2030-07-14T06:00:00Z"),
    ],
)
async def test_with_the_gyms_rule_each_class_says_when_it_opens(
    sweepless: World, rule: dict[str, Any], opens_at: str | None
) -> None:
    await sweepless.member(ANA)
    put_up(sweepless)
    wod = (await listed(sweepless, **rule))[0]
    assert (wod["starts_at"], wod["opens_at"]) == ("2030-07-15T06:00:00Z", opens_at)


async def test_what_it_says_makes_a_prebooking_as_it_is(sweepless: World) -> None:
    await sweepless.member(ANA)
    put_up(sweepless)
    told = (await get(sweepless, **MADRID, days_before=4)).json()
    wod = told["classes"][0]
    wish = {
        "box_subdomain": told["box_subdomain"],
        "box_aimharder_id": told["box_aimharder_id"],
        "booking_data": {"day": told["day"], "id": wod["id"], "classTimeUTC": wod["starts_at"]},
    }
    headers = sweepless.speaking_for(ANA)
    created = await sweepless.http.post("/prebookings", headers=headers, json=wish | {"available_at": wod["opens_at"]})
    by_rule = wish | {"opens": MADRID | {"days_before": 4}}
    again = await sweepless.http.post("/prebookings", headers=headers, json=by_rule)
    assert (created.status_code, again.status_code) == (201, 200)


async def test_it_is_asked_once_for_many_and_again_for_another_user_day_and_time(sweepless: World) -> None:
    await sweepless.member(ANA)
    await sweepless.member(BEA)
    put_up(sweepless)
    inject_fault(sweepless, "slow", LISTING, seconds=0.2)
    await asyncio.gather(*(listed(sweepless) for _ in range(10)))
    await listed(sweepless, **MADRID, days_before=4)
    assert len(sweepless.gym.ledger.of(LISTING)) == 1
    book(sweepless, 501)
    assert [one["you"] for one in await listed(sweepless, BEA)] == [None, None]
    assert await listed(sweepless, day="20300716") == []
    assert [entry.member for entry in sweepless.gym.ledger.of(LISTING)] == [ANA, BEA, ANA]
    seconds_later(sweepless)
    assert [one["you"] for one in await listed(sweepless)] == ["booked", None]


async def test_a_failure_is_not_kept(sweepless: World) -> None:
    await sweepless.member(ANA)
    put_up(sweepless)
    inject_fault(sweepless, "status", LISTING, status=500)
    answer = await get(sweepless)
    assert (answer.status_code, answer.json()["code"]) == (503, "gym-unreachable")
    assert answer.headers["retry-after"] == "5"
    assert len(await listed(sweepless)) == 2


async def test_without_a_session_it_says_what_to_do(sweepless: World) -> None:
    for path in ("/boxes", f"/boxes/mygym/classes?day={DAY}"):
        answer = await sweepless.http.get(path, headers=sweepless.speaking_for(ANA))
        assert (answer.status_code, answer.json()["code"]) == (409, "session-missing")
        assert "PUT /session" in answer.json()["detail"]


async def test_a_dead_session_is_refreshed_else_told(sweepless: World) -> None:
    await sweepless.member(ANA)
    put_up(sweepless)
    inject_fault(sweepless, "logout", WHOAMI)
    assert len(await listed(sweepless)) == 2
    assert len(sweepless.gym.ledger.of(REFRESH)) == 1
    sweepless.gym.accounts.kill(ANA, sweepless.gym.site.clock())
    seconds_later(sweepless)
    answer = await get(sweepless)
    assert (answer.status_code, answer.json()["code"]) == (409, "session-expired")
    assert "sign in there again" in answer.json()["detail"]


async def test_the_gym_is_not_stormed_for_one_user(sweepless: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweepless.services.class_listings, "_pace", RateLimiter(SystemClock(), most=3, per_s=60))
    for user in (ANA, BEA):
        await sweepless.member(user)
        answers = [await get(sweepless, user, day=f"203007{day}") for day in range(10, 16)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429, 429, 429]
        assert answers[-1].json()["code"] == "too-many"
        assert 50 <= int(answers[-1].headers["retry-after"]) <= 60
    assert len(sweepless.gym.ledger.of(LISTING)) == 4
    assert len(sweepless.gym.ledger.of(WHOAMI)) == 2


async def test_the_users_gyms_are_those_that_aimharder_names(sweepless: World) -> None:
    await sweepless.member(ANA)
    sweepless.gym.gym.put_box(Box(slug="other-gym", boid=8, name="Other Gym"))
    answer = await sweepless.http.get("/boxes", headers=sweepless.speaking_for(ANA))
    assert answer.status_code == 200
    assert answer.json() == {
        "boxes": [
            {"subdomain": "mygym", "aimharder_id": "7", "name": "CrossFit"},
            {"subdomain": "other-gym", "aimharder_id": "8", "name": "Other Gym"},
        ]
    }


async def test_a_gym_that_aimharder_does_not_name_needs_its_number(sweepless: World) -> None:
    await sweepless.member(ANA)
    put_up(sweepless)
    answer = await get(sweepless, box="elsewhere")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "box_aimharder_id")
    assert len(await listed(sweepless, box_aimharder_id=7)) == 2


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(({"day": day}, "day") for day in ("", "2030-07-15", "20300732", "today")),
        ({"box_aimharder_id": "7&x"}, "box_aimharder_id"),
        ({"days_before": 4}, "time_zone"),
        ({"hours_before": 4}, "time_zone"),
        ({"time_zone": "Madrid"}, "time_zone"),
        (MADRID | {"days_before": -1}, "days_before"),
        (MADRID | {"hours_before": "x"}, "hours_before"),
        (MADRID | {"days_before": 1, "hours_before": 1}, "hours_before"),
        (MADRID | {"days_before": 1, "at": "8:00"}, "at"),
        (MADRID | {"at": "08:00"}, "at"),
    ],
)
async def test_what_can_be_no_question_is_refused_by_field_unasked(
    sweepless: World, query: dict[str, Any], field: str
) -> None:
    await sweepless.member(ANA)
    answer = await get(sweepless, **query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not sweepless.gym.ledger.entries


@pytest.mark.parametrize(
    "box",
    ["a.b", "-a", "a-", "my gym", "mygym%00", "mygym:80", "mygym@evil.example", "%2e%2e", "ñ", "x" * 64, "mygym%0d%0a"],
)
async def test_a_gym_is_a_label_and_no_address(sweepless: World, box: str) -> None:
    await sweepless.member(ANA)
    answer = await get(sweepless, box=box)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "subdomain")
    assert not sweepless.gym.ledger.entries


async def test_nobody_is_told_anything(sweepless: World) -> None:
    for path in ("/boxes", f"/boxes/mygym/classes?day={DAY}"):
        assert (await sweepless.http.get(path)).status_code == 401


async def test_a_day_that_opens_over_the_change_of_the_clocks(sweepless: World) -> None:
    await sweepless.member(ANA)
    sweepless.open_class(class_id=501, day="20261028", time="08:00 - 09:00")
    (wod,) = await listed(sweepless, day="20261028", days_before=4, **MADRID)
    assert (wod["starts_at"], wod["opens_at"]) == ("2026-10-28T07:00:00Z", "2026-10-24T06:00:00Z")
    assert datetime.fromisoformat(wod["starts_at"]) - datetime(2026, 10, 24, 6, tzinfo=UTC) == timedelta(hours=97)
