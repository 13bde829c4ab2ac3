"""What a box answers to a booking, each rule of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.local.aimharder_guest import DAY, Town, new_town


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with new_town() as town:
        yield town


async def test_a_booking_answers_state_1_and_the_reservation_id_as_a_string(town: Town) -> None:
    ana = town.member()
    town.open()

    answer = await ana.book()

    assert answer["bookState"] == 1
    assert isinstance(answer["id"], str)
    assert answer["clasesContratadas"]
    assert answer["hasPublicMemberships"] == 1
    assert [str(held["id"]) for held in town.aimharder.site.bookings()] == [answer["id"]]


async def test_only_the_class_and_the_day_are_needed_to_book(town: Town) -> None:
    ana = town.member()
    town.open()

    assert (await ana.post("/api/book", id=501, day=DAY))["bookState"] == 1


async def test_a_class_opens_at_its_nanosecond_and_not_before(town: Town) -> None:
    ana = town.member()
    town.open()
    town.clock.now_ns -= 1
    early = await ana.book()
    town.clock.now_ns += 1

    assert early["bookState"] == -12
    assert early["errorMssgLang"] == "ERROR_ANTELACION_CLIENTE"
    assert early["errorMssg"] == "No puedes reservar clases con más de 4 días de antelación"
    assert early["clasesContratadas"]
    assert (await ana.book())["bookState"] == 1


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ca", "No pots reservar classes amb més de 3 dies d'antelació"),
        ("en", "You can't book classes with more than 3 days of anticipation"),
    ],
)
async def test_too_early_is_said_in_the_language_of_the_account_with_the_boxs_days(
    town: Town, language: str, text: str
) -> None:
    town.box(days_ahead=3)

    answer = await town.member(language=language).book()

    assert (answer["errorMssg"], answer["errorMssgLang"]) == (text, "ERROR_ANTELACION_CLIENTE")


async def test_a_box_may_count_in_hours_or_answer_minus_4(town: Town) -> None:
    ana = town.member()
    town.box(too_early="hours", days_ahead=2)
    hours = await ana.book()
    town.box(too_early="global")
    globally = await ana.book()

    assert hours["errorMssgLang"] == "ERROR_ANTELACION_CLIENTE_HORAS"
    assert "48 horas" in hours["errorMssg"]
    assert globally["bookState"] == -4


async def test_without_an_instant_a_class_opens_days_before_at_its_own_wall_clock_time(town: Town) -> None:
    town.box(days_ahead=4)
    gym_class = town.hold(opens_at=None, day="20251028", time="08:00 - 09:00")

    # 08:00 in winter time opens four days before at 08:00 in summer time, which is 06:00 UTC.
    assert town.aimharder.gym.opens_ns(gym_class) == 1761285600 * 10**9  # 2025-10-24T06:00:00Z


async def test_an_opening_may_be_given_as_iso_8601(town: Town) -> None:
    gym_class = town.hold(opens_at="2025-10-24T08:00:00.000001+02:00")

    assert gym_class.opens_at == 1761285600 * 10**9 + 1000


async def test_a_full_class_refuses_with_minus_1(town: Town) -> None:
    town.hold(capacity=2, others=1)
    ana, eva = town.member(), town.member("eva@example.com")
    town.open()

    assert (await ana.book())["bookState"] == 1
    assert (await eva.book())["bookState"] == -1


async def test_insisting_joins_the_waiting_list_of_a_full_class(town: Town) -> None:
    town.hold(capacity=0)
    ana = town.member()
    town.open()
    answer = await ana.book(insist=1)
    row = await ana.row()

    assert (answer["bookState"], answer["id"]) == (0, str(row["idres"]))
    assert (row["bookState"], row["limit"], row["waitlist"]) == (0, "0 (1)", 1)


async def test_a_box_may_answer_1_to_who_waits_and_0_to_who_is_booked(town: Town) -> None:
    town.box(waiting_answer=1, booked_answer=0)
    town.hold(capacity=1)
    ana, eva = town.member(), town.member("eva@example.com")
    town.open()

    assert (await ana.book())["bookState"] == 0
    assert (await eva.book(insist=1))["bookState"] == 1
    assert ((await ana.row())["bookState"], (await eva.row())["bookState"]) == (1, 0)


async def test_a_full_waiting_list_refuses_with_minus_1(town: Town) -> None:
    town.hold(capacity=0, waiting_capacity=1)
    ana, eva = town.member(), town.member("eva@example.com")
    town.open()

    assert (await ana.book(insist=1))["bookState"] == 0
    assert (await eva.book(insist=1))["bookState"] == -1


async def test_the_same_hour_is_refused_to_a_person_whichever_class_it_is(town: Town) -> None:
    town.hold(502, name="Yoga", type_id=2)
    ana = town.member()
    town.open()
    await ana.book()

    for class_id in (501, 502):
        answer = await ana.book(class_id)
        assert (answer["bookState"], answer["errorMssgLang"]) == (-12, "NOPUEDESRESERVAMISMAHORA")
        assert answer["errorMssg"] == "No puedes hacer más de una reserva a la misma hora"
    assert len(town.aimharder.site.bookings()) == 1


async def test_a_repeat_is_told_same_hour_even_if_the_class_is_full(town: Town) -> None:
    town.hold(capacity=1)
    ana = town.member()
    town.open()
    await ana.book()

    assert (await ana.book())["errorMssgLang"] == "NOPUEDESRESERVAMISMAHORA"


async def test_a_box_without_the_same_hour_rule_books_twice(town: Town) -> None:
    town.box(same_hour_refused=False, daily_max=2)
    ana = town.member()
    town.open()
    states = [await ana.book() for _ in range(3)]

    assert [answer["bookState"] for answer in states] == [1, 1, -8]
    assert states[2]["max"] == 2
    assert "errorMssg" not in states[2]


async def test_the_daily_max_counts_classes_of_one_type(town: Town) -> None:
    town.box(daily_max=1)
    town.hold(502, time="10:00 - 11:00")
    town.hold(503, time="11:00 - 12:00", type_id=2)
    ana = town.member()
    town.open()

    assert [(await ana.book(i))["bookState"] for i in (501, 502, 503)] == [1, -8, 1]


@pytest.mark.parametrize(
    ("trouble", "state", "key"),
    [
        ({"unpaid": True}, -5, None),
        ({"credits": 0}, -2, None),
        ({"class_limit": 0}, -9, None),
        ({"contract_limit": 0}, -12, "HASSUPERADOLIMITCONTR"),
    ],
)
async def test_an_accounts_trouble_has_its_own_refusal(
    town: Town, trouble: dict[str, Any], state: int, key: str | None
) -> None:
    ana = town.member(**trouble)
    town.open()

    answer = await ana.book()

    assert (answer["bookState"], answer.get("errorMssgLang")) == (state, key)
    assert answer["clasesContratadas"]


async def test_a_class_outside_the_members_plan_is_no_credit(town: Town) -> None:
    town.hold(included=0)
    ana = town.member()
    town.open()

    assert (await ana.book())["bookState"] == -2


async def test_a_class_about_to_start_is_too_late(town: Town) -> None:
    town.box(closes_minutes=15)
    ana = town.member()
    starts_ns = town.aimharder.gym.starts_ns(town.hold())
    town.clock.now_ns = starts_ns - 15 * 60 * 10**9 + 1
    late = await ana.book()
    town.clock.now_ns -= 1

    assert late["bookState"] == -7
    assert (await ana.book())["bookState"] == 1


@pytest.mark.parametrize(
    ("details", "key"),
    [
        ({"cancelled_id": 9}, "ERROR_CLASE_CANCELADA"),
        ({"resadmin": 1}, "ERROR_RESERVA_SOLO_ADMIN"),
    ],
)
async def test_a_class_that_is_not_for_members_books_nobody(town: Town, details: dict[str, int], key: str) -> None:
    town.hold(**details)
    ana = town.member()
    town.open()

    assert (await ana.book())["errorMssgLang"] == key
    assert town.aimharder.site.bookings() == []
    row = await ana.row()
    assert (row["cancelledId"], row["resadmin"]) == (details.get("cancelled_id"), details.get("resadmin", 0))


async def test_an_unknown_class_and_the_wrong_day_of_one_are_refused(town: Town) -> None:
    ana = town.member()
    town.open()

    for answer in (await ana.book(999), await ana.book(day="20300118"), await ana.book(id="9" * 5000)):
        assert (answer["bookState"], answer["errorMssgLang"]) == (-12, "ERROR_CLASE_NO_EXISTE")


async def test_a_recreated_class_is_found_under_its_new_id_alone(town: Town) -> None:
    ana = town.member()
    town.open()
    await ana.book()
    town.aimharder.gym.replace_class("mygym", 501, 777)

    assert [row["id"] for row in (await ana.listing())["bookings"]] == [777]
    assert (await ana.book(501))["errorMssgLang"] == "ERROR_CLASE_NO_EXISTE"
    assert (await ana.book(777))["bookState"] == 1


async def test_others_fill_a_class_shortly_after_it_opens(town: Town) -> None:
    town.hold(capacity=2, fills_after_s=1.5)
    ana, eva = town.member(), town.member("eva@example.com")
    town.open()
    town.clock.turn(1.499)
    in_time = await ana.book()
    town.clock.turn(0.001)

    assert in_time["bookState"] == 1
    assert (await eva.book())["bookState"] == -1
    assert (await eva.row())["ocupation"] == 2


async def test_each_of_a_family_has_an_own_place_and_an_own_hour(town: Town) -> None:
    ana = town.member(family=[{"id": "31"}])
    town.open()
    mine, childs = await ana.book(), await ana.book(familyId="31")
    rows = [await ana.row(), await ana.row(familyId="31")]

    assert [mine["bookState"], childs["bookState"]] == [1, 1]
    assert [str(row["idres"]) for row in rows] == [mine["id"], childs["id"]]
    assert (await ana.book(familyId="31"))["errorMssgLang"] == "NOPUEDESRESERVAMISMAHORA"


async def test_somebody_of_another_family_is_refused(town: Town) -> None:
    ana = town.member(family=[{"id": "31"}])
    town.open()

    assert (await ana.book(familyId="32"))["errorMssgLang"] == "ERROR_FAMILIAR_NO_VALIDO"


async def test_a_json_body_is_no_booking(town: Town) -> None:
    ana = town.member()
    town.open()

    answer = await ana.request("POST", "/mygym/api/book", json={"id": 501, "day": DAY})

    assert answer.json()["bookState"] == -12
    assert town.aimharder.site.bookings() == []
