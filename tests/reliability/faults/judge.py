"""Whether a case of the matrix ended as it must: the oracle's verdict, and the one end that its scenario allows."""

from datetime import datetime
from typing import Any

from tests.reliability.faults.environment import Ledgers
from tests.reliability.oracle import Facts, Request, Row, violations


def ended_at(ledgers: Ledgers) -> float:
    """Returns when the first row ended, by the database's clock, in epoch seconds."""
    first: datetime = min(row["executed_at"] or row["updated_at"] for row in ledgers.rows)
    return first.timestamp()


def wrongs(
    ledgers: Ledgers,
    *,
    opens_ns: int,
    to_be_cancelled: bool,
    cancelled_ns: int | None,
    true_reason: str | None,
    to_be_given_back: bool = False,
) -> list[str]:
    """Returns what is wrong. `true_reason`: the only one for which the row may have failed instead of being booked."""
    facts = Facts(
        rows=[Row.read(row, reason_is_true=row["error_code"] == true_reason) for row in ledgers.rows],
        bookings={str(booking["id"]): booking["state"] for booking in ledgers.bookings},
        requests=[Request(first_byte_ns, opens_ns) for first_byte_ns in ledgers.requests_ns],
        cancelled_ns=cancelled_ns,
    )
    kept = [f"{row}, and its place was not given back" for row in facts.rows if to_be_given_back and not row.given_back]
    return (
        [str(violation) for violation in violations(facts)]
        + kept
        + _unexpected_end(
            [str(row) for row in facts.rows], cancelled_ns, to_be_cancelled=to_be_cancelled, true_reason=true_reason
        )
    )


def _unexpected_end(
    outcomes: list[str], cancelled_ns: int | None, *, to_be_cancelled: bool, true_reason: str | None
) -> list[str]:
    """A row of a scenario that cancels is cancelled. Others are booked by one row, and later rows find that booking."""
    if to_be_cancelled:
        found = [] if set(outcomes) == {"cancelled"} else [f"the rows ended {', '.join(outcomes)}"]
        return found + (["no cancel was answered"] if cancelled_ns is None else [])
    if outcomes and set(outcomes) == {true_reason}:
        return []
    booked = ["already_booked"] * (len(outcomes) - 1) + ["booked"]
    return [] if sorted(outcomes) == booked else [f"the rows ended {', '.join(sorted(outcomes))}"]


def changes(before: Ledgers, after: Ledgers, *, requests: bool) -> list[str]:
    """Returns what changed although all had ended. `requests`: one more booking request may come."""
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
        found.append(f"{more} more booking requests")
    return found


def outcome(row: dict[str, Any]) -> str:
    return str(Row.read(row))
