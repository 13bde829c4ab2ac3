"""The public listing and what a member sees in it."""

from collections.abc import AsyncIterator

import pytest
from tests.local.aimharder_guest import Town, new_town


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with new_town() as town:
        town.open()
        yield town


async def test_the_listing_has_its_envelope_and_the_days_classes_in_order(town: Town) -> None:
    town.hold(400, time="18:30 - 19:15", name="Yoga")
    town.hold(401, day="20300118")
    listing = await town.stranger().listing()

    assert listing["day"] == "Jueves, 17 de Enero de 2030"
    assert listing["timetable"] == [
        {"id": "0800_60", "time": "08:00 - 09:00"},
        {"id": "1830_45", "time": "18:30 - 19:15"},
    ]
    assert [(row["id"], row["className"], row["timeid"]) for row in listing["bookings"]] == [
        (501, "CrossFit", "0800_60"),
        (400, "Yoga", "1830_45"),
    ]


async def test_a_row_says_how_full_the_class_is(town: Town) -> None:
    town.hold(capacity=14, others=5)
    await town.member().book()
    row = await town.stranger().row()

    assert (row["limit"], row["limitc"], row["ocupation"], row["waitlist"], row["enabled"]) == (14, 14, 5, -1, 1)


async def test_who_has_no_living_session_sees_the_same_rows_without_the_own_state(town: Town) -> None:
    ana = town.member()
    booked = await ana.book()
    alive = await ana.row()
    town.aimharder.accounts.kill("ana@example.com", town.clock())
    dead, stranger = await ana.row(), await town.stranger().row()

    assert (alive["bookState"], alive["idres"]) == (1, int(booked["id"]))
    assert dead == stranger == alive | {"bookState": None, "idres": None}


async def test_a_reservation_is_shown_to_its_person_alone(town: Town) -> None:
    await town.member().book()

    assert (await town.member("eva@example.com").row())["bookState"] is None


async def test_the_parameters_that_browsers_add_are_optional(town: Town) -> None:
    listing = await town.member().get("/api/bookings", day="20300117", box=7)

    assert [row["id"] for row in listing["bookings"]] == [501]


async def test_an_empty_day_and_nonsense_have_no_rows(town: Town) -> None:
    ana = town.member()
    listings = [await ana.listing("20300118"), await ana.listing("20301399"), await ana.listing(box=8)]

    assert [listing["bookings"] for listing in listings] == [[], [], []]


async def test_the_next_bookings_have_ids_of_their_own(town: Town) -> None:
    ana = town.member()
    booked = await ana.book()
    upcoming = await ana.get("/api/nextBookings", box=7, familyId="")

    (own,) = upcoming["nextClasses"]
    assert (own["bookState"], own["className"], own["time"]) == (1, "CrossFit", "08:00 - 09:00")
    assert own["id"] not in (501, int(booked["id"]))
    assert upcoming["history"] == []


async def test_boxes_keep_their_classes_apart_even_under_one_id(town: Town) -> None:
    town.box(slug="other", boid=8)
    town.hold(box="other", name="Spinning")
    ana = town.member()
    await ana.book()
    ana.prefix = "/other"

    row = await ana.row(box=8)
    assert (row["className"], row["bookState"]) == ("Spinning", None)


async def test_the_host_may_name_the_box_instead_of_the_path(town: Town) -> None:
    address = "/api/bookings?day=20300117&box=7"
    answers = {
        host: (await town.client.get(address, headers={"Host": host})).status_code
        for host in ("mygym.aimharder.com", "mygym.localhost:9000", "localhost:9000", "127.0.0.1:9000", "x.y.z")
    }

    boxes = [entry.request.box for entry in town.aimharder.ledger.entries]
    assert boxes == ["mygym", "mygym", None, None, "x"]
    assert answers == {
        "mygym.aimharder.com": 200,
        "mygym.localhost:9000": 200,
        "localhost:9000": 404,
        "127.0.0.1:9000": 404,
        "x.y.z": 404,
    }
