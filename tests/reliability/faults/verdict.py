"""What went wrong, by two ledgers, the gym's and the database's, and by what the members heard.

Never by the service's own word.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.reliability.faults import old_cron, weekly_members
from tests.reliability.faults.counted import Complaint, forgotten, too_many, uncounted
from tests.reliability.faults.ledgers import Evidence, WishRecord, nanoseconds, wish_records
from tests.reliability.faults.reasons import is_true
from tests.reliability.faults.sessions import Loss, LossCause, losses
from tests.reliability.oracle import Facts, Kind, Request, Row, granted, violations

from prebooking.domain.delays import PARK_DELAYS_S, PARK_JITTER

IN_TIME_S = 90.0  #: after the last fault, or what a member did after that, or the lease that the row had by then
LONGEST_PAUSE_S = PARK_DELAYS_S[-1] * (1 + PARK_JITTER)  #: of a parked row
_FINAL = ("completed", "failed", "cancelled")


class Column(StrEnum):
    LOST = "lost"
    DOUBLE = Kind.DOUBLE
    AFTER_CANCEL = Kind.AFTER_CANCEL
    FALSELY_COMPLETED = Kind.FALSELY_COMPLETED
    FALSELY_FAILED = Kind.FALSELY_FAILED
    STUCK = "stuck"
    EARLY = Kind.EARLY
    UNEXPECTED = "unexpected answers"
    SESSIONS = "sessions lost"
    SIGN_INS = "sign-ins not right"
    PASSWORDS = "passwords found"
    SERIES = "series not right"


@dataclass(slots=True)
class Verdict:
    complaints: dict[Column, list[tuple[WishRecord | Loss | Complaint, str]]] = field(
        default_factory=lambda: {c: [] for c in Column}
    )
    sessions_lost: list[Loss] = field(default_factory=list)  #: also those that count apart

    @property
    def is_clean(self) -> bool:
        return not any(self.complaints.values())


def judge(evidence: Evidence) -> Verdict:
    verdict = Verdict()
    for record in wish_records(evidence):
        for violation in violations(_facts(record, evidence)):
            verdict.complaints[Column(violation.kind)].append((record, violation.text))
        for column, complain in _COMPLAINTS.items():
            verdict.complaints[column] += [(record, text) for text in complain(record, evidence)]
    verdict.sessions_lost = list(losses(evidence.sessions))
    ours = [loss for loss in verdict.sessions_lost if loss.cause is LossCause.LOST]
    verdict.complaints[Column.SESSIONS] = [(loss, loss.text) for loss in ours]
    verdict.complaints[Column.SIGN_INS] = [(one, one.text) for one in _sign_ins(evidence)]
    verdict.complaints[Column.PASSWORDS] = [
        (Complaint(place, text := f"{number} times"), text) for place, number in evidence.sign_ins.found.items()
    ]
    verdict.complaints[Column.SERIES] = [(one, one.text) for one in weekly_members.complaints(evidence.series)]
    return verdict


def _sign_ins(evidence: Evidence) -> Iterator[Complaint]:
    of_it = evidence.sign_ins
    yield from uncounted(evidence.requests, of_it.tries)
    yield from too_many(of_it.tries)
    yield from forgotten(of_it.remembered, of_it.told_remembered)
    yield from (Complaint(one.email, f"was told {one.status} {one.said}") for one in of_it.odd)


def _facts(record: WishRecord, evidence: Evidence) -> Facts:
    cancelled_at = record.log.cancelled_at
    return Facts(
        rows=[
            Row.read(
                row,
                reason_is_true=row["status"] == "failed" and is_true(row, record, evidence),
                by_other_program=(row["result"] or {}).get("by") == old_cron.BY,
            )
            for row in record.rows
        ],
        bookings={str(booking["id"]): booking["state"] for booking in record.bookings},
        requests=[_request(record, request) for request in record.ours],
        foreign=frozenset(record.crons),
        cancelled_ns=None if cancelled_at is None else round(cancelled_at * 1e9),
    )


def _request(record: WishRecord, request: dict[str, Any]) -> Request:
    first_byte_ns = request["first_byte_ns"]
    opens_ns = min(nanoseconds(opening) for opening in record.log.openings_at(first_byte_ns / 1e9))
    return Request(first_byte_ns, opens_ns, granted(request["decided"]))


def _lost(record: WishRecord, _: Evidence) -> Iterator[str]:
    known = {str(row["id"]): row for row in record.rows}
    for created in record.log.answers("create", 200, 201):
        if created.body["id"] not in known:
            yield f"the create was answered {created.status}, and there is no row {created.body['id']}"
    asked_to_cancel = any(one.what == "cancel" for one in record.log.exchanges)
    for prebooking_id, row in known.items():
        if row["status"] == "cancelled" and not asked_to_cancel:
            yield f"nobody asked to cancel {prebooking_id}"
        if row["available_at"] not in record.log.openings_at(float("inf")):
            yield f"opens at {row['available_at']}, which nobody asked for last"


def _double(record: WishRecord, _: Evidence) -> Iterator[str]:
    if len(record.bookings) > 1 and record.crons:
        yield f"the gym holds {len(record.bookings)} bookings, one of them the old cron's"
    if len(record.rows) > 1:
        yield f"one create made {len(record.rows)} rows"


def _stuck(record: WishRecord, evidence: Evidence) -> Iterator[str]:
    for row in record.rows:
        if row["status"] not in _FINAL:
            yield f"still {row['status']}, lease until {row['lease_until']}, parked {row['parks']} times"
        elif row["executed_at"] is not None:
            opened = record.log.wish.opening.opened_at.timestamp()
            lease = min(evidence.leases.get(str(row["id"]), 0.0), evidence.calm_at + LONGEST_PAUSE_S)
            armed, opens = row["armed_at"].timestamp(), row["available_at"].timestamp()
            free_since = max(evidence.calm_at, lease, armed, opens, opened)
            took_s = row["executed_at"].timestamp() - free_since
            if took_s > IN_TIME_S:
                yield f"{row['status']} only {took_s:.0f} s after the last fault"


def _unexpected(record: WishRecord, _: Evidence) -> Iterator[str]:
    yield from record.log.unexpected


#: What only a campaign promises; the oracle has the rest.
_COMPLAINTS: dict[Column, Callable[[WishRecord, Evidence], Iterator[str]]] = {
    Column.LOST: _lost,
    Column.DOUBLE: _double,
    Column.STUCK: _stuck,
    Column.UNEXPECTED: _unexpected,
}
