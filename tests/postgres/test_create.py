"""Create: one active prebooking a wish, whatever is clicked twice, lost on the way or cancelled in between."""

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from tests.postgres.factories import GIVE_UP_AT, OPENING, booking_data, prebooking
from tests.postgres.functions import NOW, Functions, Many, seconds, until_waiting


async def test_a_wish_becomes_a_pending_row_without_a_message(db: Functions) -> None:
    wanted = booking_data()

    created = await db.create(wanted, OPENING, user_email="Ana@Example.com")

    assert created["outcome"] == "created"
    shown = created["prebooking"]
    assert (shown["status"], shown["version"], shown["attempts"]) == ("pending", 1, 0)
    assert (shown["user_email"], shown["box_subdomain"]) == ("ana@example.com", "kap")
    assert shown["booking_data"] == wanted
    assert datetime.fromisoformat(shown["available_at"]) == OPENING
    assert datetime.fromisoformat(shown["created_at"]) == NOW
    row = await db.row(shown["id"])
    assert (row["scheduled_version"], row["qstash_schedule_id"], row["give_up_at"]) == (None, None, GIVE_UP_AT)


async def test_a_create_repeated_with_its_id_gets_the_same_row_whatever_became_of_it(db: Functions) -> None:
    wanted, prebooking_id = booking_data(), uuid4()
    first = await db.create(wanted, OPENING, id=prebooking_id)

    assert await db.create(wanted, OPENING, id=prebooking_id) == first
    await db.cancel(prebooking_id)
    again = await db.create(wanted, OPENING, id=prebooking_id)

    assert (again["outcome"], again["prebooking"]["status"]) == ("created", "cancelled")


@pytest.mark.parametrize(
    "more", [{}, {"familyId": ""}, {"insist": 1, "activityName": "WOD"}], ids=["same", "no family", "other words"]
)
async def test_the_same_wish_and_opening_again_is_the_existing_row(db: Functions, more: dict[str, object]) -> None:
    first = await db.create(booking_data("7"), OPENING)

    again = await db.create(booking_data(7, **more), OPENING, user_email="ANA@example.com")

    assert again["outcome"] == "existing"
    assert again["prebooking"] == first["prebooking"]


async def test_the_same_wish_for_now_is_the_existing_row(db: Functions) -> None:
    wanted = booking_data()
    first = await db.create(wanted, None)
    await db.at(NOW + seconds(1))

    again = await db.create(wanted, None)

    assert datetime.fromisoformat(first["prebooking"]["available_at"]) == NOW
    assert (again["outcome"], again["prebooking"]["id"]) == ("existing", first["prebooking"]["id"])


async def test_the_same_wish_with_another_opening_is_refused(db: Functions) -> None:
    wanted = booking_data()
    first = await db.create(wanted, OPENING)

    other = await db.create(wanted, OPENING + seconds(1))

    assert (other["outcome"], other["prebooking"]) == ("exists", first["prebooking"])


@pytest.mark.parametrize("different", ["user", "box", "day", "class", "family"])
async def test_a_wish_differs_by_user_box_day_class_or_family_member(db: Functions, different: str) -> None:
    await db.create(booking_data("7", familyId="1"), OPENING)

    changes = {"day": {"day": "20990305"}, "class": {"id": "8"}, "family": {"familyId": "2"}}.get(different, {})
    other = await db.create(
        {**booking_data("7", familyId="1"), **changes},
        OPENING,
        user_email="bea@example.com" if different == "user" else "ana@example.com",
        box="other" if different == "box" else "kap",
    )

    assert other["outcome"] == "created"


async def test_values_cannot_run_into_each_other_to_make_two_wishes_one(db: Functions) -> None:
    await db.create(booking_data('7", "8'), OPENING)

    other = await db.create(booking_data("7", familyId="8"), OPENING)

    assert other["outcome"] == "created"


@pytest.mark.parametrize("ended", [{"status": "cancelled"}, {"status": "completed"}, {"status": "failed"}])
async def test_an_ended_wish_may_be_wished_again(db: Functions, ended: dict[str, object]) -> None:
    wanted = booking_data()
    old = await prebooking(db, booking_data=wanted, **ended)

    again = await db.create(wanted, OPENING)

    assert again["outcome"] == "created"
    assert again["prebooking"]["id"] != str(old)


@pytest.mark.parametrize("late_by", [0, 60])
async def test_an_opening_at_or_after_the_class_is_too_late(db: Functions, late_by: float) -> None:
    refused = await db.create(booking_data(), GIVE_UP_AT + seconds(late_by))

    assert refused["outcome"] == "too_late"
    assert datetime.fromisoformat(refused["give_up_at"]) == GIVE_UP_AT


async def test_a_class_that_has_started_is_too_late_for_an_opening_in_the_past(db: Functions) -> None:
    await db.at(GIVE_UP_AT)

    assert (await db.create(booking_data(), OPENING))["outcome"] == "too_late"


async def test_an_opening_in_the_past_is_accepted_while_the_class_is_to_come(db: Functions) -> None:
    assert (await db.create(booking_data(), NOW - timedelta(days=1)))["outcome"] == "created"


async def test_a_create_repeated_while_the_first_is_under_way_gets_the_answer_of_the_first(many: Many) -> None:
    first, second = await many(2)
    wanted, prebooking_id = booking_data(), uuid4()

    async with first.connection.transaction():
        answer = await first.create(wanted, OPENING, id=prebooking_id)
        repeat = asyncio.create_task(second.create(wanted, OPENING, id=prebooking_id))
        await until_waiting(second, for_=first)

    assert await repeat == answer


async def test_two_tabs_at_once_make_one_row(many: Many) -> None:
    tabs = await many(8)
    for _ in range(20):
        wanted = booking_data()
        answers = await asyncio.gather(*(tab.create(wanted, OPENING) for tab in tabs))
        assert sorted(a["outcome"] for a in answers) == ["created"] + 7 * ["existing"]
        assert len({a["prebooking"]["id"] for a in answers}) == 1

    assert await tabs[0].connection.fetchval("select count(*) from public.prebookings") == 20


async def test_create_cancel_create_at_once_never_leaves_two_active_rows_nor_none_answered(many: Many) -> None:
    tabs = await many(6)
    wanted = booking_data()

    async def click(tab: Functions) -> None:
        for _ in range(25):
            answer = await tab.create(wanted, OPENING)
            assert answer["outcome"] in {"created", "existing"}
            await tab.cancel(answer["prebooking"]["id"])

    await asyncio.gather(*map(click, tabs))

    statuses = await tabs[0].connection.fetch("select distinct status from public.prebookings")
    assert [row["status"] for row in statuses] == ["cancelled"]
