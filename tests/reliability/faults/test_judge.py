"""What the matrix expects of a case's end, beyond the promises that the oracle checks."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.reliability.faults.environment import Ledgers
from tests.reliability.faults.judge import changes, ended_at, wrongs

OPENS_NS = 1_000_000_000
BOOKED: dict[str, Any] = {"status": "completed", "error_code": None, "result": {"outcome": "booked", "bookingId": 1}}
FOUND: dict[str, Any] = {
    "status": "completed",
    "error_code": None,
    "result": {"outcome": "already_booked", "bookingId": 1},
}
CANCELLED: dict[str, Any] = {"status": "cancelled", "error_code": None, "result": None}
GONE: dict[str, Any] = {"status": "failed", "error_code": "class_not_found", "result": {"outcome": "class_not_found"}}
BOOKING = {"id": "1", "state": 1}


def wrong(
    rows: list[dict[str, Any]],
    bookings: list[dict[str, Any]],
    after_ns: int = 1,
    *,
    cancelled_ns: int | None = None,
    cancels: bool = False,
    true_reason: str | None = None,
) -> bool:
    ledgers = Ledgers(rows, bookings, [OPENS_NS + after_ns])
    return bool(
        wrongs(
            ledgers,
            opens_ns=OPENS_NS,
            to_be_cancelled=cancels,
            cancelled_ns=cancelled_ns,
            true_reason=true_reason,
        )
    )


def test_booked_once_is_right_also_where_later_rows_found_it() -> None:
    assert not wrong([BOOKED], [BOOKING])
    assert not wrong([BOOKED, FOUND], [BOOKING])


def test_a_failure_is_right_only_for_the_reason_of_the_scenario() -> None:
    assert not wrong([GONE], [], true_reason="class_not_found")
    assert wrong([GONE], [])
    assert wrong([GONE], [], true_reason="session_expired")
    assert wrong([GONE], [BOOKING], true_reason="class_not_found")


def test_a_cancel_is_right_only_if_it_was_answered_and_nothing_left_afterwards() -> None:
    assert not wrong([CANCELLED], [], cancels=True, cancelled_ns=OPENS_NS + 2)
    assert wrong([CANCELLED], [], cancels=True, cancelled_ns=None)
    assert wrong([CANCELLED], [], cancels=True, cancelled_ns=OPENS_NS)
    assert wrong([BOOKED], [BOOKING], cancels=True, cancelled_ns=OPENS_NS + 2)


@pytest.mark.parametrize(
    ("rows", "bookings", "after_ns"),
    [
        ([BOOKED], [], 1),
        ([BOOKED], [BOOKING, BOOKING | {"id": "2"}], 1),
        ([BOOKED], [BOOKING], -1),
        ([BOOKED, BOOKED], [BOOKING], 1),
        ([FOUND], [BOOKING], 1),
        ([CANCELLED], [], 1),
        ([], [], 1),
    ],
    ids=["none held", "two held", "early", "booked by two rows", "found its own", "cancelled by nobody", "no row"],
)
def test_anything_else_is_wrong(rows: list[dict[str, Any]], bookings: list[dict[str, Any]], after_ns: int) -> None:
    assert wrong(rows, bookings, after_ns)


def test_what_changes_after_the_end_is_named() -> None:
    row: dict[str, Any] = {**BOOKED, "id": "a", "version": 1}
    before = Ledgers([row], [BOOKING], [OPENS_NS])
    assert changes(before, before, requests=False) == []
    assert changes(before, Ledgers([row], [BOOKING], [OPENS_NS, OPENS_NS]), requests=True) == []
    assert changes(before, Ledgers([row], [BOOKING], [OPENS_NS, OPENS_NS]), requests=False)
    assert changes(before, Ledgers([{**row, **GONE}], [BOOKING], [OPENS_NS]), requests=False)
    assert changes(before, Ledgers([row], [], [OPENS_NS]), requests=False)


def test_the_end_is_the_first_rows() -> None:
    first, second = datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC)
    rows: list[dict[str, Any]] = [
        {"executed_at": None, "updated_at": second},
        {"executed_at": first, "updated_at": second},
    ]
    assert ended_at(Ledgers(rows, [], [])) == first.timestamp()
