"""Each broken promise is found, by its own name; and what keeps them all is not complained of."""

from dataclasses import replace
from typing import Any

import pytest
from tests.reliability.oracle import BOOKED, WAITING_LIST, Facts, Kind, Request, Row, granted, violations

OPENS_NS = 1_000_000_000_000
BOOKED_ROW = Row("completed", "booked", "1")
WAITING_ROW = Row("completed", "waiting_list", "1")
FOUND_ROW = Row("completed", "already_booked", "1")
FULL_ROW = Row("failed", "class_full", reason_is_true=True)
UNKNOWN_ROW = Row("failed", "outcome_unknown", reason_is_true=True)
CANCELLED_ROW = Row("cancelled")


def request(after_ns: int = 1, booking_id: str | None = None) -> Request:
    return Request(OPENS_NS + after_ns, OPENS_NS, booking_id)


BOOKED_ONCE = Facts([BOOKED_ROW], {"1": BOOKED}, [request(booking_id="1")])
KEPT = {
    "booked": BOOKED_ONCE,
    "booked at the instant itself": replace(BOOKED_ONCE, requests=[request(0, "1")]),
    "booked by the second request": replace(BOOKED_ONCE, requests=[request(), request(2, "1")]),
    "on the waiting list": Facts([WAITING_ROW], {"1": WAITING_LIST}, [request(booking_id="1")]),
    "another program had booked": Facts([FOUND_ROW], {"1": BOOKED}, foreign=frozenset({"1"})),
    "another program has completed it": Facts(
        [Row("completed", None, "1", by_other_program=True)], {"1": BOOKED}, foreign=frozenset({"1"})
    ),
    "another program has failed it": Facts([Row("failed", "its own", by_other_program=True)], {}),
    "an earlier row had booked": Facts([BOOKED_ROW, FOUND_ROW], {"1": BOOKED}, [request(booking_id="1")]),
    "failed first, and booked by a later row": Facts([FULL_ROW, BOOKED_ROW], {"1": BOOKED}, [request(), request()]),
    "cancelled first, and booked by a later row": Facts([CANCELLED_ROW, BOOKED_ROW], {"1": BOOKED}, [request()]),
    "failed for a true reason": Facts([FULL_ROW], {}, [request()]),
    "nobody could say whether it was booked": Facts([UNKNOWN_ROW], {"1": BOOKED}, [request(booking_id="1")]),
    "failed, and booked by hand": Facts([FULL_ROW], {"1": BOOKED}, foreign=frozenset({"1"})),
    "cancelled": Facts([CANCELLED_ROW], {}, cancelled_ns=OPENS_NS),
    "cancelled after a refused request": Facts([CANCELLED_ROW], {}, [request(1)], cancelled_ns=OPENS_NS + 2),
}
BROKEN: dict[str, tuple[Facts, Kind]] = {
    "a request before the opening": (replace(BOOKED_ONCE, requests=[request(-1), request(2, "1")]), Kind.EARLY),
    "two bookings held": (replace(BOOKED_ONCE, bookings={"1": BOOKED, "2": BOOKED}), Kind.DOUBLE),
    "two bookings made, of which the gym holds one": (
        replace(BOOKED_ONCE, requests=[request(booking_id="1"), request(booking_id="2")]),
        Kind.DOUBLE,
    ),
    "a booking of a cancelled row": (Facts([CANCELLED_ROW], {"1": BOOKED}), Kind.AFTER_CANCEL),
    "a booking of a cancelled row, given up since": (
        Facts([CANCELLED_ROW], {}, [request(booking_id="1")]),
        Kind.AFTER_CANCEL,
    ),
    "a row that is not cancelled though that was confirmed": (
        replace(BOOKED_ONCE, cancelled_ns=OPENS_NS + 2),
        Kind.AFTER_CANCEL,
    ),
    "a request after the cancel was confirmed": (
        Facts([CANCELLED_ROW], {}, [request(3)], cancelled_ns=OPENS_NS + 2),
        Kind.AFTER_CANCEL,
    ),
    "booked, and the gym holds nothing": (Facts([BOOKED_ROW], {}), Kind.FALSELY_COMPLETED),
    "booked, under another booking's number": (
        Facts([replace(BOOKED_ROW, booking_id="2")], {"1": BOOKED}),
        Kind.FALSELY_COMPLETED,
    ),
    "booked, without a number": (replace(BOOKED_ONCE, rows=[Row("completed", "booked")]), Kind.FALSELY_COMPLETED),
    "booked, and it is on the waiting list": (Facts([BOOKED_ROW], {"1": WAITING_LIST}), Kind.FALSELY_COMPLETED),
    "on the waiting list, and it is booked": (Facts([WAITING_ROW], {"1": BOOKED}), Kind.FALSELY_COMPLETED),
    "already booked, and by nobody else": (Facts([FOUND_ROW], {"1": BOOKED}), Kind.FALSELY_COMPLETED),
    "already booked, as two rows say": (Facts([FOUND_ROW, FOUND_ROW], {"1": BOOKED}), Kind.FALSELY_COMPLETED),
    "completed as something else": (
        Facts([Row("completed", "class_full", "1")], {"1": BOOKED}),
        Kind.FALSELY_COMPLETED,
    ),
    "another program's booking that the gym does not hold": (
        Facts([Row("completed", None, "1", by_other_program=True)], {}),
        Kind.FALSELY_COMPLETED,
    ),
    "failed, and the gym holds a booking": (Facts([FULL_ROW], {"1": BOOKED}), Kind.FALSELY_FAILED),
    "failed by another program, and the gym holds our booking": (
        Facts([Row("failed", "its own", by_other_program=True)], {"1": BOOKED}),
        Kind.FALSELY_FAILED,
    ),
    "failed for a reason that is not true": (
        Facts([replace(FULL_ROW, reason_is_true=False)], {}),
        Kind.FALSELY_FAILED,
    ),
    "given up as unknown too soon": (Facts([replace(UNKNOWN_ROW, reason_is_true=False)], {}), Kind.FALSELY_FAILED),
}


@pytest.mark.parametrize("what", KEPT)
def test_what_keeps_every_promise_is_not_complained_of(what: str) -> None:
    assert violations(KEPT[what]) == []


@pytest.mark.parametrize("what", BROKEN)
def test_what_breaks_a_promise_is_found_by_its_name(what: str) -> None:
    facts, kind = BROKEN[what]
    assert {violation.kind for violation in violations(facts)} == {kind}


def test_each_promise_has_a_case_that_breaks_it() -> None:
    assert {kind for _, kind in BROKEN.values()} == set(Kind)


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ({"status": "completed", "error_code": None, "result": {"outcome": "booked", "bookingId": 1}}, BOOKED_ROW),
        (
            {"status": "failed", "error_code": "class_full", "result": {"outcome": "class_full"}},
            replace(FULL_ROW, reason_is_true=False),
        ),
        ({"status": "cancelled", "error_code": None, "result": None}, CANCELLED_ROW),
    ],
)
def test_a_row_is_read_from_its_columns(columns: dict[str, Any], row: Row) -> None:
    assert Row.read(columns) == row


@pytest.mark.parametrize(
    ("decided", "booking_id"),
    [
        ({"bookState": 1, "id": 7}, "7"),
        ({"bookState": 0, "id": "7"}, "7"),
        ({"bookState": -1}, None),
        ({"logout": 1}, None),
        ("a page", None),
        (None, None),
    ],
)
def test_what_the_gym_granted_is_read_from_its_ledger(decided: Any, booking_id: str | None) -> None:
    assert granted(decided) == booking_id
