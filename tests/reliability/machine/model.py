"""The plain model: a dict of prebookings, and what each call must be answered in each state.

Between a question and its answer a row may change by what goes on beside it: an answer is right if it is right for one
of the states that the row was in meanwhile, the caller's own change aside.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.reliability.machine.history import BY_USERS, MAX_ATTEMPTS, REARMING, Change, Row, Wish

Answer = tuple[int, str | None]  #: status and code

CREATED, DONE = (201, None), (200, None)
INVALID: Answer = (422, "invalid-request")
EXISTS: Answer = (409, "prebooking-exists")
IN_PROGRESS: Answer = (409, "booking-in-progress")
FINISHED: Answer = (409, "already-finished")
NOT_FAILED: Answer = (409, "not-failed")
NOT_FOUND: Answer = (404, "not-found")
UNAVAILABLE: Answer = (503, "database-unavailable")


@dataclass(slots=True)
class Model:
    rows: dict[str, Row] = field(default_factory=dict)
    attempts: dict[str, set[str]] = field(default_factory=dict)  #: the claims that count, since it was armed
    deployed: bool = False  #: in this step: what has not begun may have been given back

    def active(self, wish: Wish) -> list[Row]:
        return [row for row in self.rows.values() if row.active and row.wish == wish]

    def of(self, email: str) -> list[Row]:
        return [row for row in self.rows.values() if row.email == email]

    def apply(self, change: Change, asked: str | None) -> None:
        """`asked`: the function behind what the user has asked for in this step, if anything."""
        change.check()
        row = change.new
        assert change.function not in BY_USERS or change.function == asked, f"nobody asked for it: {change}"
        known = self.rows.get(row.id)
        assert known is None or change.old is None or change.old.image == known.image, f"unwritten before {change}"
        self.rows.pop(row.id, None)
        self.rows[row.id] = row  # the last one to change is the last
        self._count(change)
        self._check_waiting(change)
        assert len(self.active(row.wish)) <= 1, f"two active prebookings of one wish: {change}"

    def _check_waiting(self, change: Change) -> None:
        """A begin makes its row wait only for another of that user that may have booked its class."""
        if change.function != "begin_booking" or change.new.waits_for is None:
            return
        other = self.rows[change.new.waits_for]
        assert other.id != change.new.id, change
        assert (other.email, other.family) == (change.new.email, change.new.family), change
        assert other.begun or other.status == "completed", change

    def _count(self, change: Change) -> None:
        """Claims count, but what is given back, what came too early for the gym, what was lost before the opening, what
        waits for another prebooking, and those that only settle, unless they begin again.
        """
        row, old = change.new, change.old
        counted = self.attempts.setdefault(row.id, set())
        if change.function in REARMING:
            counted.clear()
        claims = change.function == "claim_prebooking" and row.status == "executing" and old and not old.begun
        lease = old.instant("lease_until") if old else None
        if claims and old and lease and lease <= change.at and lease < row.opening:
            counted.discard(old.image["claim_token"])
        waits = change.function == "begin_booking" and row.status == "pending"
        if claims or (change.function == "begin_booking" and not waits):
            counted.add(row.image["claim_token"])
        given_back = self.deployed and not row.image["last_outcome"]
        too_early = row.image["last_outcome"] == "too_early"
        if waits or (change.function == "release_prebooking" and (given_back or too_early)):
            counted.discard(row.image["ended_token"])
        assert row.image["attempts"] == len(counted) <= MAX_ATTEMPTS, f"{len(counted)} attempts: {change}"


def to_create(rows: Iterable[Row], opening: datetime, give_up_at: datetime, now: datetime) -> Answer:
    """`rows`: what there is of this wish."""
    for row in rows:
        if row.active:
            return DONE if row.opening == opening else EXISTS
    return INVALID if max(opening, now) >= give_up_at else CREATED


def to_cancel(row: Row) -> Answer:
    if row.status in ("completed", "failed"):
        return FINISHED
    return IN_PROGRESS if row.status == "executing" and row.begun else DONE


def to_reschedule(row: Row, opening: datetime, now: datetime) -> Answer:
    if row.status == "executing":
        return IN_PROGRESS
    if row.status != "pending":
        return FINISHED
    if row.opening == opening:
        return DONE
    return INVALID if max(opening, now) >= row.give_up_at else DONE


def to_retry(row: Row, opening: datetime | None, now: datetime, *, wish_is_taken: bool) -> Answer:
    match row.status:
        case "executing":
            return IN_PROGRESS
        case "completed" | "cancelled":
            return FINISHED
        case "pending":
            return NOT_FAILED
    if max(opening or row.opening, now) >= row.give_up_at:
        return INVALID
    return EXISTS if wish_is_taken else DONE


def check_problem(answer: Any) -> None:
    """RFC 9457, with a code to act on and an id to ask about."""
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert problem["status"] == answer.status_code, answer.text
    assert problem["code"], answer.text
    assert problem["request_id"] == answer.headers["x-request-id"] != "", answer.text
    assert {"type", "title", "detail", "instance"} <= problem.keys(), answer.text
    assert answer.status_code < 500 or answer.status_code == UNAVAILABLE[0], answer.text
    if answer.status_code == UNAVAILABLE[0]:
        assert int(answer.headers["retry-after"]) >= 1, answer.text
