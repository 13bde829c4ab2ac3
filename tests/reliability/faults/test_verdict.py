"""Each column of the campaign's verdict shows what it is for, and a wish that went right shows nowhere."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.reliability.faults import old_cron, sessions
from tests.reliability.faults.ledgers import Evidence, SignIns
from tests.reliability.faults.plan import FollowUp, Opening, Wish
from tests.reliability.faults.users import Exchange, UserLog
from tests.reliability.faults.verdict import Column, judge
from tests.reliability.faults.weekly_members import SeriesLedgers

ANA = "ana@example.com"
OPENS = datetime(2026, 12, 1, 10, tzinfo=UTC)
AT = OPENS.timestamp()
OPENING = Opening("mygym", 1000, "20261205", OPENS, capacity=20, fills_after_s=None)
ROW: dict[str, Any] = {
    "id": "a",
    "user_email": ANA,
    "booking_data": {"id": 1000},
    "status": "completed",
    "result": {"success": True, "outcome": "booked", "bookingId": 1},
    "error_code": None,
    "attempts": 1,
    "parks": 0,
    "lease_until": None,
    "available_at": OPENS,
    "armed_at": OPENS - timedelta(minutes=1),
    "executed_at": OPENS + timedelta(seconds=1),
}
REQUEST: dict[str, Any] = {
    "path": "/api/book",
    "target": "/api/book",
    "member": ANA,
    "form": {"id": "1000"},
    "first_byte_ns": round(AT * 1e9) + 1000,
    "decided": {"bookState": 1, "id": "1"},
    "status": 200,
    "fault": None,
    "delivered": True,
}
BOOKING: dict[str, Any] = {"id": "1", "member": ANA, "class_id": 1000, "state": 1}
CREATED = Exchange("create", AT - 60, AT - 60, 201, {"id": "a"}, OPENS)
CANCELLED = Exchange("cancel", AT - 30, AT - 30, 200, {"id": "a"})
FULL = {"status": "failed", "error_code": "class_full", "result": {"success": False, "outcome": "class_full"}}


def columns(
    *,
    row: dict[str, Any] | None = None,
    rows: list[dict[str, Any]] | None = None,
    request: dict[str, Any] | None = None,
    requests: list[dict[str, Any]] | None = None,
    bookings: list[dict[str, Any]] | None = None,
    exchanges: tuple[Exchange, ...] = (),
    unexpected: tuple[str, ...] = (),
) -> set[str]:
    """The columns in which one wish shows that was booked, but for what is given otherwise."""
    wish = Wish(ANA, OPENING, 0, AT - 60, OPENS, FollowUp.WAIT, 0.0, OPENS, None)
    asked = [REQUEST | (request or {})] if requests is None else requests
    evidence = Evidence(
        user_logs=[UserLog(wish, [CREATED, *exchanges], list(unexpected))],
        openings=[OPENING],
        rows=[ROW | (row or {})] if rows is None else rows,
        bookings=[BOOKING] if bookings is None else bookings,
        requests=asked,
        fault_windows=[],
        deaths=[],
        sessions=sessions.Ledger([], asked, []),
        calm_at=AT,
        sign_ins=SignIns(tries=[], remembered={}, told_remembered=[], odd=[], found={}, looked_at={}),
        leases={},
        series=SeriesLedgers([], frozenset(), [], [], []),
    )
    return {column for column, found in judge(evidence).complaints.items() if found}


def test_a_wish_that_was_booked_once_and_in_time_shows_nowhere() -> None:
    assert columns() == set()


def test_what_the_old_cron_has_booked_is_its_own() -> None:
    by_cron = {"target": f"/api/book?by={old_cron.BY}", "first_byte_ns": round(AT * 1e9) - 1000}
    result = {"success": True, "by": old_cron.BY, "bookingId": "1", "bookState": 1}
    assert columns(row={"result": result}, request=by_cron) == set()
    assert columns(row={"result": ROW["result"] | {"outcome": "already_booked"}}, request=by_cron) == set()


def test_a_full_class_is_a_true_reason() -> None:
    assert columns(row=FULL, request={"decided": {"bookState": -1}}, bookings=[]) == set()


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (Column.LOST, {"rows": [], "requests": [], "bookings": []}),
        (Column.LOST, {"row": {"available_at": OPENS + timedelta(seconds=1)}}),
        (
            Column.LOST,
            {"row": {"status": "cancelled", "result": None}, "bookings": [], "request": {"decided": {"bookState": -1}}},
        ),
        (Column.DOUBLE, {"bookings": [BOOKING, BOOKING | {"id": "2"}]}),
        (Column.DOUBLE, {"rows": [ROW, ROW | {"id": "b"}]}),
        (
            Column.DOUBLE,
            {
                "requests": [REQUEST, REQUEST | {"target": f"?by={old_cron.BY}", "decided": {"id": "2"}}],
                "bookings": [BOOKING, BOOKING | {"id": "2"}],
            },
        ),
        (
            Column.AFTER_CANCEL,
            {"row": {"status": "cancelled", "result": None}, "bookings": [], "exchanges": (CANCELLED,)},
        ),
        (Column.AFTER_CANCEL, {"exchanges": (replace(CANCELLED, answered_at=AT + 60),)}),
        (Column.FALSELY_COMPLETED, {"bookings": []}),
        (Column.FALSELY_COMPLETED, {"row": {"result": ROW["result"] | {"outcome": "already_booked"}}}),
        (Column.FALSELY_FAILED, {"row": FULL}),
        (Column.FALSELY_FAILED, {"row": FULL, "requests": [], "bookings": []}),
        (Column.FALSELY_FAILED, {"row": FULL | {"error_code": "expired"}, "requests": [], "bookings": []}),
        (Column.STUCK, {"row": {"status": "pending", "result": None}, "requests": [], "bookings": []}),
        (Column.STUCK, {"row": {"executed_at": OPENS + timedelta(seconds=120)}}),
        (Column.EARLY, {"request": {"first_byte_ns": round(AT * 1e9) - 1000}}),
        (Column.UNEXPECTED, {"unexpected": ("create: 500",)}),
    ],
)
def test_what_went_wrong_shows_in_its_column_alone(column: Column, what: dict[str, Any]) -> None:
    assert columns(**what) == {column}
