"""Listings of other shapes: what can be read is read, and what can't says nothing."""

from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prebooking.adapters.aimharder.answers import read_listing
from prebooking.adapters.aimharder.classes import read_timetable
from prebooking.adapters.aimharder.listing import read_rows

ROW = {"id": 501, "bookState": None, "idres": None, "cancelledId": None, "time": "08:00 - 09:00"}
SLOTS = [{"id": "0800_60", "time": "08:00 - 09:00"}, {"id": "900_45", "time": "09:00 - 09:45"}]


def hours(row: dict[str, Any], timetable: Any = SLOTS) -> tuple[time | None, time | None]:
    [read] = read_rows({"bookings": [{"id": 1} | row], "timetable": timetable}).rows
    return read.starts, read.ends


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"time": "08:00 - 09:00"}, (time(8), time(9))),
        ({"time": "8:00-9:00"}, (time(8), time(9))),
        ({"time": "08:00"}, (time(8), None)),
        ({"time": "08:00:00"}, (time(8), None)),
        ({"timeid": "900_45"}, (time(9), time(9, 45))),
        ({"time": None, "timeid": "0800_60"}, (time(8), time(9))),
        ({"time": "", "timeid": "2330_60"}, (time(23, 30), time(0, 30))),
        ({"time": "all day", "timeid": "0800_60"}, (time(8), time(9))),
        ({"time": "24:00 - 01:00"}, (None, time(1))),
        ({"time": "08:000"}, (None, None)),
        ({"time": 8, "timeid": 800}, (None, None)),
        ({"timeid": "9960_60"}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_hours_stand_in_the_row_alone_or_elsewhere(row: dict[str, Any], expected: tuple[time, time]) -> None:
    assert hours(row) == expected


@pytest.mark.parametrize("timetable", [{"0": SLOTS[0], "4": SLOTS[1]}, SLOTS])
def test_an_array_with_gaps_arrives_as_an_object(timetable: Any) -> None:
    assert hours({"timeid": "900_45"}, timetable) == (time(9), time(9, 45))
    listing = read_listing({"bookings": {"0": ROW, "3": ROW | {"id": "502"}}})
    assert listing.keys() == {"501", "502"}
    assert listing.complete


@pytest.mark.parametrize("unreadable", [None, 3, {}, {"id": None}, {"id": True}, {"id": 0}, {"id": 1.5}, {"id": " "}])
def test_a_row_that_cannot_be_read_says_nothing_and_the_others_do(unreadable: Any) -> None:
    listing = read_listing({"bookings": [unreadable, ROW]})
    assert listing.keys() == {"501"}
    assert not listing.complete
    assert [one.id for one in read_timetable({"bookings": [unreadable, ROW]})] == ["501"]
    with pytest.raises(ValueError, match="not a listing"):
        read_listing({"bookings": [unreadable]})


@pytest.mark.parametrize(
    ("changed", "state", "known"),
    [
        ({"bookState": 1}, 1, True),
        ({"bookState": "1"}, 1, True),
        ({"bookState": "0"}, 0, True),
        ({"bookState": 1, "idres": 77}, 1, True),
        ({"bookState": None}, None, True),
        ({"bookState": ""}, None, True),
        ({"bookState": None, "idres": 77}, None, False),
        ({"bookState": 2}, None, False),
        ({"bookState": 0.5}, None, False),
        ({"bookState": "yes"}, None, False),
    ],
)
def test_how_the_user_stands_is_known_only_where_the_row_tells(
    changed: dict[str, Any], state: int | None, known: Any
) -> None:
    listed = read_listing({"bookings": [ROW | changed]})["501"]
    assert (listed.book_state, listed.standing_known) == (state, known)


def test_a_row_without_a_state_is_told_by_its_reservation() -> None:
    row = {name: value for name, value in ROW.items() if name != "bookState"}
    assert read_listing({"bookings": [row]})["501"].standing_known
    assert not read_listing({"bookings": [row | {"idres": 77}]})["501"].standing_known
    del row["idres"]
    assert not read_listing({"bookings": [row]})["501"].standing_known


def test_of_two_rows_of_one_class_the_one_counts_that_has_the_user_in_it() -> None:
    for rows in ([ROW, ROW | {"bookState": 1}], [ROW | {"bookState": 1}, ROW]):
        assert read_listing({"bookings": rows})["501"].book_state == 1


@pytest.mark.parametrize("false", [None, 0, "0", "", False])
def test_the_string_0_is_false(false: Any) -> None:
    row = ROW | {"cancelledId": false, "resadmin": false, "idres": false}
    listed = read_listing({"bookings": [row]})["501"]
    assert not listed.cancelled
    assert listed.standing_known
    assert read_timetable({"bookings": [row]})[0].bookable
    assert not read_timetable({"bookings": [row | {"enabled": "0"}]})[0].bookable


@pytest.mark.parametrize(
    ("limit", "told"), [(14, (14, 0)), ("14", (14, 0)), ("14 (4)", (14, 4)), (None, (None, 0)), ("many", (None, 0))]
)
def test_places_are_read_off_the_limit_where_nothing_else_tells(limit: Any, told: tuple[int | None, int]) -> None:
    [one] = read_timetable({"bookings": [ROW | {"limit": limit}]})
    assert (one.capacity, one.waiting) == told


def test_names_are_shown_without_the_escapes_of_html() -> None:
    [one] = read_timetable({"bookings": [ROW | {"className": "Core &amp; More &lt;b&gt;"}]})
    assert one.name == "Core & More <b>"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ROW, "timeid"]), inner, max_size=4),
    max_leaves=8,
)
_OTHERS = st.lists(_JSON | st.dictionaries(st.sampled_from([*ROW, "timeid"]), _JSON), max_size=5)


@given(_OTHERS, _OTHERS, _JSON, st.booleans())
def test_a_well_formed_row_is_read_whatever_stands_around_it(
    before: list[Any], after: list[Any], timetable: Any, gaps: Any
) -> None:
    mine = ROW | {"id": 777_777, "bookState": 1, "idres": 5}
    rows = [*before, mine, *after]
    said = {"bookings": {str(2 * n): row for n, row in enumerate(rows)} if gaps else rows, "timetable": timetable}
    listed = read_listing(said)["777777"]
    assert (listed.book_state, listed.reservation_id, listed.hour) == (1, "5", "08:00")
    assert "777777" in [one.id for one in read_timetable(said)]


@pytest.mark.parametrize(
    ("said", "minutes"),
    [("08:00 - 09:30", 90), ("23:30 - 00:15", 45), ("08:00", None), ("08:00 - 08:00", None), ("all day", None)],
)
def test_a_class_is_as_long_as_its_hours_say(said: str, minutes: int | None) -> None:
    assert read_listing({"bookings": [ROW | {"time": said}]})["501"].minutes == minutes
