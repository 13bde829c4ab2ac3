"""A class that the gym lists late or under another id: looked for by its hour and name, and booked once it is there."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.executions import (
    ANA,
    BOOK,
    LISTING,
    ON_TIME_MS,
    book,
    bookings_asked,
    delivered,
    inject_fault,
    ran,
    shots,
)
from tests.support.world import BOX, CLASS_ID, World

from prebooking.adapters.aimharder import gym
from prebooking_local.aimharder import Fault

BEA = "bea@example.com"
NEW_ID = 777
EVENING = {"starts": "18:00", "name": "CrossFit"}


def put_others(world: World, opens_at: datetime, number: int = 2) -> None:
    for n in range(number):
        world.open_class(class_id=900 + n, day=world.day(opens_at), time=f"{n + 6:02}:00 - {n + 7:02}:00", name="Yoga")


def put_evening(world: World, opens_in_s: float, **more: Any) -> datetime:
    return world.open_class(opens_in_s, **{"time": "18:00 - 19:00", "name": "CrossFit"} | more)


async def prebook(
    world: World, opens_at: datetime, told: dict[str, Any] | None = None, *, email: str = ANA, **data: Any
) -> dict[str, Any]:
    """By its hour and name, and by its id if `data` has one."""
    wish = world.wish(opens_at) | {"booking_data": {"day": world.day(opens_at)} | data}
    wish |= {"class": EVENING if told is None else told} if told != {} else {}
    answer = await world.http.post("/prebookings", headers=world.speaking_for(email), json=wish)
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json()
    return row


def booked_classes(world: World) -> list[int]:
    return [booking["class_id"] for booking in world.gym.site.bookings()]


def lateness_ms(row: dict[str, Any]) -> float:
    return float(row["result"]["timings"]["fire_lateness_ms"])


def listings_since(world: World, instant: datetime) -> list[float]:
    """Seconds after the instant at which the listing was asked for."""
    asked = (entry.request.first_byte_ns / 1e9 - instant.timestamp() for entry in world.gym.ledger.of(LISTING))
    return [seconds for seconds in asked if seconds > 0]


async def test_a_class_that_is_found_while_the_request_connects_is_the_one_that_it_asks_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.member(ANA)
    opens_at = put_evening(world, 4)
    put_others(world, opens_at)
    evening = world.gym.gym.classes[BOX.slug, CLASS_ID]
    world.gym.gym.remove_class(BOX.slug, CLASS_ID)
    ready = gym._HeldRequest.ready

    async def connects_slowly(held: Any) -> None:
        world.gym.gym.put_class(evening)
        await asyncio.sleep(1.2)  # meanwhile the listing is asked for again
        await ready(held)

    monkeypatch.setattr(gym._HeldRequest, "ready", connects_slowly)
    row = await world.finished(ANA, (await prebook(world, opens_at))["id"])
    assert (row["result"]["outcome"], booked_classes(world)) == ("booked", [CLASS_ID])
    assert [entry.request.form["id"] for entry in bookings_asked(world)] == [str(CLASS_ID)]


@pytest.mark.parametrize(
    ("again", "outcome"),
    [
        ({"name": "CrossFit"}, "booked"),
        ({"name": "Yoga"}, "class_not_found"),
        ({"time": "19:00 - 20:00"}, "class_not_found"),
    ],
    ids=["the same", "another name", "another hour"],
)
async def test_a_class_that_was_cancelled_and_created_again_beside_it_is_booked(
    world: World, again: dict[str, Any], outcome: str
) -> None:
    await world.member(ANA)
    opens_at = put_evening(world, 4, cancelled_id=1)
    put_evening(world, 4, class_id=NEW_ID, day=world.day(opens_at), opens_at=opens_at.isoformat(), **again)
    start = world.gym.gym.starts_ns(world.gym.gym.classes[BOX.slug, CLASS_ID]) / 1e9
    starts = datetime.fromtimestamp(start, UTC).isoformat()
    row = await prebook(world, opens_at, {}, id=CLASS_ID, classTimeUTC=starts)
    row = await world.finished(ANA, row["id"])
    assert row["result"]["outcome"] == outcome
    assert booked_classes(world) == ([NEW_ID] if outcome == "booked" else [])


async def test_a_class_is_booked_by_its_hour_and_name_at_its_opening(world: World) -> None:
    await world.member(ANA)
    opens_at = put_evening(world, 4)
    put_others(world, opens_at)
    row = await world.finished(ANA, (await prebook(world, opens_at, {"starts": "18:00", "name": " CROSSFÍT "}))["id"])
    assert (row["result"]["outcome"], row["result"]["class_id"]) == ("booked", str(CLASS_ID))
    assert 0 <= lateness_ms(row) < ON_TIME_MS
    assert (booked_classes(world), len(bookings_asked(world))) == ([CLASS_ID], 1)


@pytest.mark.parametrize(
    ("told", "data"),
    [
        (EVENING, {"id": CLASS_ID}),
        ({"starts": "18:00"}, {"id": CLASS_ID}),
        ({}, {"id": CLASS_ID, "classTimeUTC": True, "activityName": "CrossFit"}),
        ({}, {"id": CLASS_ID, "classTimeUTC": True}),
    ],
    ids=["class", "its hour alone", "classTimeUTC and activityName", "classTimeUTC alone"],
)
async def test_a_class_that_was_created_anew_under_another_id_is_booked_under_that(
    world: World, told: dict[str, Any], data: dict[str, Any]
) -> None:
    await world.member(ANA)
    opens_at = put_evening(world, 4)
    put_others(world, opens_at)
    if "classTimeUTC" in data:
        start = world.gym.gym.starts_ns(world.gym.gym.classes[BOX.slug, CLASS_ID]) / 1e9
        data = data | {"classTimeUTC": datetime.fromtimestamp(start, UTC).isoformat()}
    row = await prebook(world, opens_at, told, **data)
    world.gym.gym.replace_class(BOX.slug, CLASS_ID, NEW_ID)
    row = await world.finished(ANA, row["id"])
    assert (row["result"]["outcome"], row["result"]["class_id"]) == ("booked", str(NEW_ID))
    assert lateness_ms(row) < ON_TIME_MS
    assert (booked_classes(world), len(bookings_asked(world))) == ([NEW_ID], 1)


@pytest.mark.parametrize("data", [{}, {"id": CLASS_ID}], ids=["by hour", "by id"])
@pytest.mark.parametrize("others", [2, 0])
async def test_a_class_that_is_listed_only_at_its_opening_is_booked_as_soon_as_it_is(
    world: World, data: dict[str, Any], others: int
) -> None:
    await world.member(ANA)
    opens_at = put_evening(world, 4, listed_at_opening=True)
    put_others(world, opens_at, others)
    row = await world.finished(ANA, (await prebook(world, opens_at, **data))["id"])
    assert (row["result"]["outcome"], row["attempts"]) == ("booked", 1)
    assert 0 <= lateness_ms(row) < 2 * ON_TIME_MS
    assert (booked_classes(world), len(bookings_asked(world))) == ([CLASS_ID], 1)


async def test_a_refusal_is_judged_by_the_day_as_it_was_when_the_request_left(world: World) -> None:
    """The gym's clock is behind, so that it lists the class after the request; its refusal comes later still."""
    await world.member(ANA)
    opens_at = put_evening(world, 4, listed_at_opening=True)
    world.gym.faults.add(Fault(kind="clock", seconds=-0.4))
    inject_fault(world, "slow", seconds=1.2)
    row = await world.finished(ANA, (await prebook(world, opens_at, id=CLASS_ID))["id"])
    assert (row["result"]["outcome"], shots(row)) == ("booked", ["refused", "booked"])
    assert (booked_classes(world), len(bookings_asked(world))) == ([CLASS_ID], 2)


async def test_an_id_that_the_day_does_not_list_is_not_sent_while_it_lists_others(sweepless: World) -> None:
    await sweepless.member(ANA)
    opens_at = put_evening(sweepless, -5)
    put_others(sweepless, opens_at)
    row = await prebook(sweepless, opens_at, {}, id=12345)
    answered, row = await ran(sweepless, row)
    assert (answered.status, row["status"], row["attempts"]) == (503, "pending", 0)
    assert not bookings_asked(sweepless)


@pytest.mark.parametrize("kind", ["status", "empty", "login_page"])
async def test_with_a_listing_that_cannot_be_read_the_id_is_sent_at_the_opening(world: World, kind: str) -> None:
    await world.member(ANA)
    opens_at = put_evening(world, 4)
    inject_fault(world, kind, LISTING, times=None)
    row = await world.finished(ANA, (await prebook(world, opens_at, {}, id=CLASS_ID))["id"])
    assert row["result"]["outcome"] == "booked"
    assert lateness_ms(row) < ON_TIME_MS


@pytest.mark.parametrize(
    ("told", "data"),
    [(EVENING | {"name": "Pilates"}, {}), (EVENING | {"starts": "18:30"}, {}), ({}, {"id": 12345})],
    ids=["another name", "another hour", "another id"],
)
async def test_a_class_that_is_not_there_20_s_after_the_opening_fails_and_says_how_many_others_are(
    sweepless: World, told: dict[str, Any], data: dict[str, Any]
) -> None:
    await sweepless.member(ANA)
    opens_at = put_evening(sweepless, -20)
    put_others(sweepless, opens_at)
    _, row = await ran(sweepless, await prebook(sweepless, opens_at, told, **data))
    assert (row["status"], row["error_code"]) == ("failed", "class_not_found")
    assert row["error_message"] == "The gym does not offer this class. (3 other classes on that day)"
    assert not bookings_asked(sweepless)


async def test_two_classes_that_fit_are_not_chosen_between(sweepless: World) -> None:
    await sweepless.member(ANA)
    opens_at = put_evening(sweepless, -20)
    put_evening(sweepless, -20, class_id=NEW_ID)
    _, row = await ran(sweepless, await prebook(sweepless, opens_at))
    assert (row["error_code"], bookings_asked(sweepless)) == ("class_not_found", [])


async def test_an_empty_day_is_waited_for_as_a_gym_that_opens_late(sweepless: World) -> None:
    await sweepless.member(ANA)
    opens_at = datetime.now(UTC) - timedelta(seconds=100)
    answered, row = await ran(sweepless, await prebook(sweepless, opens_at))
    assert (answered.status, row["status"], row["attempts"]) == (503, "pending", 0)
    assert 7 <= (answered.retry_after or 0) <= 11


async def test_who_is_in_the_class_already_is_told_so(sweepless: World) -> None:
    await sweepless.member(ANA)
    opens_at = put_evening(sweepless, -1)
    sweepless.gym.gym.replace_class(BOX.slug, CLASS_ID, NEW_ID)
    book(sweepless, NEW_ID)
    _, row = await ran(sweepless, await prebook(sweepless, opens_at, id=CLASS_ID))
    assert (row["result"]["outcome"], bookings_asked(sweepless)) == ("already_booked", [])


async def test_one_poller_asks_for_all_who_wait_every_100_ms_and_all_are_booked_in_their_order(world: World) -> None:
    emails = [f"member{n}@example.com" for n in range(12)]
    for email in emails:
        await world.member(email)
    opens_at = put_evening(world, 5, listed_at_opening=False, capacity=20)
    world.gym.gym.remove_class(BOX.slug, CLASS_ID)
    put_others(world, opens_at)
    rows = [await prebook(world, opens_at, email=email) for email in emails]
    await asyncio.sleep(opens_at.timestamp() + 1.5 - datetime.now(UTC).timestamp())
    put_evening(world, 0, day=world.day(opens_at), opens_at=opens_at.isoformat(), capacity=20)
    ended = [await world.finished(email, row["id"]) for email, row in zip(emails, rows, strict=True)]
    assert {row["result"]["outcome"] for row in ended} == {"booked"}
    fired = [row["result"]["timings"]["fired_at"] for row in ended]
    assert fired == sorted(fired)
    asked = [seconds for seconds in listings_since(world, opens_at) if seconds < 1.5]
    assert 5 <= len(asked) <= 16
    assert max(lateness_ms(row) for row in ended) < 1500 + ON_TIME_MS


async def test_a_member_whose_session_gets_no_answer_is_replaced_by_another(world: World) -> None:
    for email in (ANA, BEA):
        await world.member(email)
    opens_at = put_evening(world, 4, listed_at_opening=True)
    put_others(world, opens_at)
    rows = [await prebook(world, opens_at, email=email) for email in (ANA, BEA)]
    inject_fault(world, "status", LISTING, status=500, member=ANA, times=None)
    ended = [await world.finished(email, row["id"]) for email, row in zip((ANA, BEA), rows, strict=True)]
    assert [row["result"]["outcome"] for row in ended] == ["booked", "booked"]
    assert max(lateness_ms(row) for row in ended) < 2 * ON_TIME_MS


@pytest.mark.parametrize("status", [403, 429])
async def test_a_gym_that_has_had_enough_is_asked_ever_more_rarely(sweepless: World, status: int) -> None:
    await sweepless.member(ANA)
    opens_at = put_evening(sweepless, -1)
    put_others(sweepless, opens_at)
    inject_fault(sweepless, "status", LISTING, status=status, times=None)
    await ran(sweepless, await prebook(sweepless, opens_at, {"starts": "18:30"}))
    assert len(sweepless.gym.ledger.of(LISTING)) <= 5


@pytest.mark.parametrize(("handled", "asked"), [(True, 1), (False, 2)])
async def test_a_lost_answer_to_a_class_without_an_id_is_settled(
    sweepless: World, *, handled: bool, asked: int
) -> None:
    await sweepless.member(ANA)
    opens_at = put_evening(sweepless, -1)
    put_others(sweepless, opens_at)
    inject_fault(sweepless, "status", BOOK, status=500, handled=handled)
    _, row = await ran(sweepless, await prebook(sweepless, opens_at))
    assert (row["result"]["outcome"], len(shots(row)), booked_classes(sweepless)) == ("booked", asked, [CLASS_ID])


@pytest.mark.parametrize("first", ["by id", "by hour"])
async def test_one_class_wished_by_id_and_by_hour_is_booked_once_where_the_gym_would_book_twice(
    world: World, first: str
) -> None:
    await world.member(ANA)
    world.gym.gym.put_box(BOX.model_copy(update={"same_hour_refused": False}))
    opens_at = put_evening(world, 4)
    put_others(world, opens_at)
    wishes: list[tuple[dict[str, Any], dict[str, Any]]] = [({}, {"id": CLASS_ID}), (EVENING, {})]
    rows = [
        await prebook(world, opens_at, told, **data)
        for told, data in (wishes if first == "by id" else reversed(wishes))
    ]
    ended = [await world.finished(ANA, row["id"]) for row in rows]
    assert sorted(row["result"]["outcome"] for row in ended) == ["already_booked", "booked"]
    assert booked_classes(world) == [CLASS_ID]
    assert [row["attempts"] for row in ended] == [1, 1]


async def test_two_classes_of_one_day_do_not_wait_for_each_other(world: World) -> None:
    await world.member(ANA)
    opens_at = put_evening(world, 4)
    world.open_class(4, class_id=502, day=world.day(opens_at), time="19:00 - 20:00", opens_at=opens_at.isoformat())
    rows = [await prebook(world, opens_at), await prebook(world, opens_at, {}, id=502)]
    ended = [await world.finished(ANA, row["id"]) for row in rows]
    assert [row["result"]["outcome"] for row in ended] == ["booked", "booked"]
    assert max(lateness_ms(row) for row in ended) < ON_TIME_MS


async def test_a_place_that_was_booked_under_another_id_can_be_given_back(sweepless: World) -> None:
    await sweepless.member(ANA)
    opens_at = put_evening(sweepless, -1)
    row = await prebook(sweepless, opens_at)
    assert (await delivered(sweepless, row)).outcome == "booked"
    answer = await sweepless.http.delete(f"/prebookings/{row['id']}/booking", headers=sweepless.speaking_for(ANA))
    assert (answer.status_code, booked_classes(sweepless)) == (200, [])
