"""What a campaign holds against series."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.reliability.faults.weekly_members import SeriesLedgers, Weekly, complaints

ANA = "weekly000@example.com"
#: 08:00 in Madrid, and the class at 18:00 three days later.
WEEKLY = Weekly(ANA, 900_000, datetime(2026, 12, 1, 7, 0, tzinfo=UTC), 82)
FIRST, NEXT = WEEKLY.days
BOOKED = {"user_email": ANA, "booking_data": {"day": FIRST}, "status": "completed", "error_code": None}
WAITS = {"user_email": ANA, "booking_data": {"day": NEXT}, "status": "pending", "error_code": None}
BOOKING = {"member": ANA, "class_id": 900_000}


def told(**ledgers: Any) -> list[str]:
    right: dict[str, Any] = {
        "wanted": [WEEKLY],
        "answered": frozenset({ANA}),
        "series": [ANA],
        "rows": [BOOKED, WAITS],
        "bookings": [BOOKING],
    }
    return [one.text for one in complaints(SeriesLedgers(**right | ledgers))]


def test_a_series_opens_hours_before_its_class_in_the_gyms_time() -> None:
    assert (FIRST, NEXT) == ("20261204", "20261211")
    assert WEEKLY.as_series()["weekdays"] == [5]
    assert WEEKLY.as_series()["class"]["starts"] == "18:00"


def test_a_series_whose_days_are_there_once_and_booked_once_shows_nowhere() -> None:
    assert told() == []


def test_who_was_not_answered_was_promised_nothing() -> None:
    assert told(answered=frozenset(), series=[], rows=[], bookings=[]) == []


@pytest.mark.parametrize(
    "ledgers",
    [
        {"series": []},
        {"series": [ANA, ANA]},
        {"rows": [BOOKED]},
        {"rows": [BOOKED, WAITS, WAITS]},
        {"rows": [BOOKED, WAITS, WAITS | {"booking_data": {"day": "20261205"}}]},
        {"rows": [BOOKED | {"status": "failed", "error_code": "class_not_found"}, WAITS]},
        {"rows": [BOOKED, WAITS | {"status": "cancelled"}]},
        {"bookings": []},
        {"bookings": [BOOKING, BOOKING]},
        {"bookings": [BOOKING | {"class_id": 900_006}]},
    ],
)
def test_what_went_wrong_is_told(ledgers: dict[str, Any]) -> None:
    assert len(told(**ledgers)) == 1
