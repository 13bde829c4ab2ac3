"""What went wrong, by two ledgers, the gym's and the database's, and by what the members heard.

Never by the service's own word.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from tests.reliability.faults import old_cron
from tests.reliability.faults.counted import Complaint, forgotten, too_many, uncounted
from tests.reliability.faults.ledgers import Case, Evidence, booking_id, cases, nanoseconds
from tests.reliability.faults.reasons import is_true
from tests.reliability.faults.sessions import Fate, Loss, losses

from prebooking.domain.timing import PARK_DELAYS_S, PARK_JITTER

IN_TIME_S = 90.0  #: after the last fault, or what a member did after that, or the lease that the row had by then
LONGEST_PAUSE_S = PARK_DELAYS_S[-1] * (1 + PARK_JITTER)  #: of a parked row
_FINAL = ("completed", "failed", "cancelled")


class Column(StrEnum):
    LOST = "lost"
    DOUBLE = "double"
    AFTER_CANCEL = "booked after cancel"
    FALSELY_COMPLETED = "falsely completed"
    FALSELY_FAILED = "falsely failed"
    STUCK = "stuck"
    EARLY = "early"
    ODD = "odd answers"
    SESSIONS = "sessions lost"
    SIGN_INS = "sign-ins not right"
    PASSWORDS = "passwords found"


@dataclass(slots=True)
class Verdict:
    complaints: dict[Column, list[tuple[Case | Loss | Complaint, str]]] = field(
        default_factory=lambda: {c: [] for c in Column}
    )
    sessions_lost: list[Loss] = field(default_factory=list)  #: also those that count apart

    @property
    def is_clean(self) -> bool:
        return not any(self.complaints.values())


def judge(evidence: Evidence) -> Verdict:
    verdict = Verdict()
    for case in cases(evidence):
        for column, complain in _COMPLAINTS.items():
            verdict.complaints[column] += [(case, text) for text in complain(case, evidence)]
    verdict.sessions_lost = list(losses(evidence.sessions))
    ours = [loss for loss in verdict.sessions_lost if loss.fate is Fate.LOST]
    verdict.complaints[Column.SESSIONS] = [(loss, loss.text) for loss in ours]
    verdict.complaints[Column.SIGN_INS] = [(one, one.text) for one in _sign_ins(evidence)]
    verdict.complaints[Column.PASSWORDS] = [
        (Complaint(place, text := f"{number} times"), text) for place, number in evidence.sign_ins.found.items()
    ]
    return verdict


def _sign_ins(evidence: Evidence) -> Iterator[Complaint]:
    of_it = evidence.sign_ins
    yield from uncounted(evidence.requests, of_it.tries)
    yield from too_many(of_it.tries)
    yield from forgotten(of_it.remembered, of_it.told_remembered)
    yield from (Complaint(one.email, f"was told {one.status} {one.said}") for one in of_it.odd)


def _lost(case: Case, _: Evidence) -> Iterator[str]:
    known = {str(row["id"]): row for row in case.rows}
    for created in case.story.answers("create", 200, 201):
        if created.said["id"] not in known:
            yield f"the create was answered {created.status}, and there is no row {created.said['id']}"
    asked_to_cancel = any(one.what == "cancel" for one in case.story.heard)
    for prebooking_id, row in known.items():
        if row["status"] == "cancelled" and not asked_to_cancel:
            yield f"nobody asked to cancel {prebooking_id}"
        if row["available_at"] not in case.story.openings_at(float("inf")):
            yield f"opens at {row['available_at']}, which nobody asked for last"


def _double(case: Case, _: Evidence) -> Iterator[str]:
    if len(case.bookings) > 1:
        yield f"the gym holds {len(case.bookings)} bookings"
    if len(case.rows) > 1:
        yield f"one create made {len(case.rows)} rows"


def _after_cancel(case: Case, _: Evidence) -> Iterator[str]:
    cancelled_at = case.story.cancelled_at
    for row in case.rows:
        if row["status"] == "cancelled" and any(str(b["id"]) not in case.crons for b in case.bookings):
            yield "cancelled, and the gym holds a booking"
        if cancelled_at and row["status"] != "cancelled":
            yield f"the cancel was confirmed, and the row is {row['status']}"
    if cancelled_at:
        for request in case.ours:
            if request["first_byte_ns"] > cancelled_at * 1e9:
                yield "a booking request left after the cancel was confirmed"


def _falsely_completed(case: Case, _: Evidence) -> Iterator[str]:
    held = {str(booking["id"]): booking["state"] for booking in case.bookings}
    for row in case.rows:
        if row["status"] != "completed":
            continue
        number, outcome = booking_id(row), row["result"].get("outcome")
        if number not in held:
            yield f"completed with booking {number}, and the gym holds {sorted(held) or 'none'}"
        elif row["result"].get("by") == old_cron.BY:
            continue
        elif (outcome == "waiting_list") != (held[number] == 0):
            yield f"{outcome}, and the gym's state is {held[number]}"
        elif outcome == "already_booked" and number not in case.crons:
            yield "already_booked, and it was our own doing"


def _falsely_failed(case: Case, evidence: Evidence) -> Iterator[str]:
    for row in case.rows:
        if row["status"] != "failed":
            continue
        if any(str(booking["id"]) not in case.crons for booking in case.bookings):
            yield f"failed as {row['error_code']}, and the gym holds a booking"
        elif (row["result"] or {}).get("by") != old_cron.BY and not is_true(row, case, evidence):
            yield f"failed as {row['error_code']}, which no ledger bears out"


def _stuck(case: Case, evidence: Evidence) -> Iterator[str]:
    for row in case.rows:
        if row["status"] not in _FINAL:
            yield f"still {row['status']}, lease until {row['lease_until']}, parked {row['parks']} times"
        elif row["executed_at"] is not None:
            opened = case.story.wish.opening.opened_at.timestamp()
            lease = min(evidence.leases.get(str(row["id"]), 0.0), evidence.calm_at + LONGEST_PAUSE_S)
            armed, opens = row["armed_at"].timestamp(), row["available_at"].timestamp()
            free_since = max(evidence.calm_at, lease, armed, opens, opened)
            took_s = row["executed_at"].timestamp() - free_since
            if took_s > IN_TIME_S:
                yield f"{row['status']} only {took_s:.0f} s after the last fault"


def _early(case: Case, _: Evidence) -> Iterator[str]:
    for request in case.ours:
        possible = case.story.openings_at(request["first_byte_ns"] / 1e9)
        ahead_ns = min(nanoseconds(opening) for opening in possible) - request["first_byte_ns"]
        if ahead_ns > 0:
            yield f"a request arrived {ahead_ns / 1e6:.3f} ms before the opening"


def _odd(case: Case, _: Evidence) -> Iterator[str]:
    yield from case.story.odd


_COMPLAINTS: dict[Column, Callable[[Case, Evidence], Iterator[str]]] = {
    Column.LOST: _lost,
    Column.DOUBLE: _double,
    Column.AFTER_CANCEL: _after_cancel,
    Column.FALSELY_COMPLETED: _falsely_completed,
    Column.FALSELY_FAILED: _falsely_failed,
    Column.STUCK: _stuck,
    Column.EARLY: _early,
    Column.ODD: _odd,
}
