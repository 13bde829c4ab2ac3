"""Did a cell end right? The gym's ledger and the database's rows alone decide, never the service's word."""

from datetime import datetime
from typing import Any

from tests.reliability.faults.environment import Ledgers


def ended_at(ledgers: Ledgers) -> float:
    """When the wish had its end, by the database's clock, in epoch seconds."""
    first: datetime = min(row["executed_at"] or row["updated_at"] for row in ledgers.rows)
    return first.timestamp()


def wrongs(
    ledgers: Ledgers, *, opens_ns: int, to_be_cancelled: bool, cancelled_ns: int | None, true_reason: str | None
) -> list[str]:
    """What speaks against it. `true_reason`: why it may have failed instead."""
    found = [
        f"a booking request {(opens_ns - request) / 1e6:.1f} ms before the opening"
        for request in ledgers.requests_ns
        if request < opens_ns
    ]
    if to_be_cancelled:
        return found + _not_cancelled(ledgers, cancelled_ns)
    if true_reason and not ledgers.bookings:
        return found + [f"the row ended {outcome(row)}" for row in ledgers.rows if row["error_code"] != true_reason]
    return found + _not_booked(ledgers)


def _not_booked(ledgers: Ledgers) -> list[str]:
    """Completed by our own request, which the gym holds once. Later rows of the wish found it booked."""
    found = []
    if len(ledgers.bookings) != 1:
        found.append(f"the gym holds {len(ledgers.bookings)} bookings")
    outcomes = sorted(outcome(row) for row in ledgers.rows)
    if outcomes != ["already_booked"] * (len(outcomes) - 1) + ["booked"]:
        found.append(f"the rows ended {', '.join(outcomes)}")
    ids = {str(booking["id"]) for booking in ledgers.bookings}
    if any((row["result"] or {}).get("bookingId") not in ids for row in ledgers.rows if row["status"] == "completed"):
        found.append("the row names another booking than the gym")
    return found


def _not_cancelled(ledgers: Ledgers, cancelled_ns: int | None) -> list[str]:
    found = [f"the row ended {outcome(row)}" for row in ledgers.rows if row["status"] != "cancelled"]
    if cancelled_ns is None:
        found.append("no cancel was answered")
    elif any(request > cancelled_ns for request in ledgers.requests_ns):
        found.append("a booking request left after the cancel was answered")
    if ledgers.bookings:
        found.append(f"the gym holds {len(ledgers.bookings)} bookings of a cancelled wish")
    return found


def changes(before: Ledgers, after: Ledgers, *, requests: bool) -> list[str]:
    """What happened although all had ended: to the rows there were, and at the gym. `requests`: one may come."""
    later = {row["id"]: row for row in after.rows}
    found = [
        f"the row was {outcome(row)} and became {outcome(later[row['id']])}"
        for row in before.rows
        if any(row[column] != later[row["id"]][column] for column in ("status", "result", "error_code", "version"))
    ]
    if after.bookings != before.bookings:
        found.append("the gym's bookings changed")
    more = len(after.requests_ns) - len(before.requests_ns)
    if more > requests:
        found.append(f"{more} more booking request")
    return found


def outcome(row: dict[str, Any]) -> str:
    return str(row["error_code"] or (row["result"] or {}).get("outcome") or row["status"])
