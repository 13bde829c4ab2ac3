"""What AimHarder lists, read for people: what can't be read is left out, and nothing breaks."""

from contextlib import suppress
from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prebooking.adapters.aimharder.classes import read_boxes, read_timetable

ROW = {
    "id": 501,
    "className": " WOD\n",
    "coachName": "Eva",
    "time": "08:00 - 09:00",
    "limitc": 14,
    "ocupation": 3,
    "waitlist": -1,
    "bookState": None,
    "enabled": 1,
    "resadmin": 0,
    "cancelledId": None,
}


def read(**changed: Any) -> Any:
    (one,) = read_timetable({"bookings": [ROW | changed]})
    return one


def test_a_row_as_it_is_on_record() -> None:
    one = read()
    assert (one.id, one.name, one.coach, one.starts, one.ends) == ("501", "WOD", "Eva", time(8), time(9))
    assert (one.capacity, one.taken, one.waiting, one.you, one.bookable, one.cancelled) == (14, 3, 0, None, True, False)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"bookState": 1}, {"you": "booked"}),
        ({"bookState": 0, "waitlist": 4}, {"you": "waiting_list", "waiting": 4}),
        ({"cancelledId": 9}, {"cancelled": True, "bookable": False}),
        ({"resadmin": 1}, {"bookable": False}),
        ({"enabled": 0}, {"bookable": False}),
        ({"time": "9:30-24:00"}, {"starts": time(9, 30), "ends": time(0)}),
        ({"time": "25:61 - 09:00"}, {"starts": None, "ends": time(9)}),
        ({"time": None}, {"starts": None, "ends": None}),
        ({"limitc": "14", "ocupation": "x", "className": None}, {"capacity": 14, "taken": None, "name": ""}),
        ({"className": "a\0b" + "x" * 300}, {"name": "ab" + "x" * 198}),
    ],
)
def test_what_differs(changed: dict[str, Any], told: dict[str, Any]) -> None:
    one = read(**changed)
    assert {name: getattr(one, name) for name in told} == told


def role(url: Any, number: Any = 7) -> Any:
    return read_boxes({"data": [{"id": 1, "roles": [{"boid": number, "gym": "My Gym", "centre_url": url}]}]})


@pytest.mark.parametrize(
    "url",
    [
        "mygym.aimharder.com",
        "https://mygym.aimharder.com",
        "http://MyGym.aimharder.es/schedule",
        "mygym.aimharder.com:443",
    ],
)
def test_a_box_is_named_by_the_label_of_its_host(url: str) -> None:
    (box,) = role(url)
    assert (box.subdomain, box.aimharder_id, box.name) == ("mygym", "7", "My Gym")


@pytest.mark.parametrize(
    "url", ["evil.example", "a.b.aimharder.com", "aimharder.com", "mygym.aimharder.com.evil", "", None, 7]
)
def test_what_is_no_box_is_left_out(url: Any) -> None:
    assert role(url) == ()
    assert role("mygym.aimharder.com", "x") == ()


def test_a_dead_session_has_none() -> None:
    assert read_boxes({"data": []}) is None
    assert read_boxes({"logout": 1}) is None
    with pytest.raises(ValueError, match="whoami"):
        read_boxes([])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ROW, "roles", "boid"]), inner, max_size=5)
    ),
    max_leaves=10,
)


@given(JSON)
def test_no_answer_breaks_a_reader(said: Any) -> None:
    for reader, answer in (
        (read_timetable, {"bookings": [said, ROW]}),
        (read_boxes, {"data": [said, {"roles": [said]}]}),
    ):
        assert reader(answer) is not None
    for reader in (read_timetable, read_boxes):
        with suppress(ValueError):
            reader(said)
