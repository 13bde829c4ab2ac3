"""The one verdict on a prebooking: booked once, never early, never after its cancel, and ended for a true reason.

The kill matrix, the campaign, the state machine and the tests of whole processes gather the facts each in its own way
(the gym's ledger, the database's rows, the answers to cancels) and ask here what is wrong with them. What the service
says of itself is no fact. Whatever else one of them promises it checks beside this.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

BOOKED, WAITING_LIST = 1, 0  #: a booking's state at the gym
#: Ends a row whose request may have been carried out, because a day later the gym still would not say.
_UNKNOWN = "outcome_unknown"


class Kind(StrEnum):
    """Which promise was broken."""

    EARLY = "early"
    DOUBLE = "double"
    AFTER_CANCEL = "booked after cancel"
    FALSELY_COMPLETED = "falsely completed"
    FALSELY_FAILED = "falsely failed"


@dataclass(frozen=True, slots=True)
class Violation:
    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(frozen=True, slots=True)
class Row:
    """How a prebooking stands in the database."""

    status: str
    outcome: str | None = None  #: why it failed, or as what it was completed
    booking_id: str | None = None
    reason_is_true: bool = False  #: of a failed one: whether the ledgers bear its outcome out
    by_other_program: bool = False  #: which wrote its result; only the booking it names is checked
    given_back: bool = False  #: its place was given back afterwards

    @classmethod
    def read(cls, columns: Mapping[str, Any], *, reason_is_true: bool = False, by_other_program: bool = False) -> Self:
        """Reads the table's columns, of which `result` is parsed JSON."""
        result = columns["result"] or {}
        booking_id = result.get("bookingId")
        return cls(
            status=columns["status"],
            outcome=columns["error_code"] or result.get("outcome"),
            booking_id=None if booking_id is None else str(booking_id),
            reason_is_true=reason_is_true,
            by_other_program=by_other_program,
            given_back=result.get("given_back_at") is not None,
        )

    def __str__(self) -> str:
        return self.outcome or self.status


@dataclass(frozen=True, slots=True)
class Request:
    """A booking request of ours in the gym's ledger."""

    first_byte_ns: int
    opens_ns: int  #: the opening then in force; where several may have been, the earliest
    booking_id: str | None = None  #: the booking that the gym made for it


def granted(decided: Any) -> str | None:
    """Returns the id of the booking that the gym made, by what its ledger says it decided; None if it made none."""
    made = isinstance(decided, dict) and decided.get("bookState") in (BOOKED, WAITING_LIST) and "id" in decided
    return str(decided["id"]) if made else None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one class that one person wants."""

    rows: Sequence[Row]
    bookings: Mapping[str, int]  #: those that the gym holds: state by id
    requests: Sequence[Request] = ()
    foreign: frozenset[str] = frozenset()  #: ids of bookings that others made: by hand, or another program
    cancelled_ns: int | None = None  #: when a cancel was first answered 200

    @property
    def ours(self) -> frozenset[str]:
        """All bookings that we made, also those that the gym holds no longer."""
        made = {request.booking_id for request in self.requests if request.booking_id is not None}
        return frozenset(made | self.bookings.keys()) - self.foreign

    @property
    def unaccounted(self) -> frozenset[str]:
        """Those of ours that no completed row names."""
        return self.ours - {row.booking_id for row in self.rows if row.status == "completed"}


def violations(facts: Facts) -> list[Violation]:
    """Returns everything that is wrong, in the order of `Kind`; nothing if every promise was kept."""
    return [Violation(kind, text) for kind, check in _CHECKS.items() for text in check(facts)]


def _early(facts: Facts) -> Iterator[str]:
    for request in facts.requests:
        ahead_ns = request.opens_ns - request.first_byte_ns
        if ahead_ns > 0:
            yield f"a booking request {ahead_ns / 1e6:.3f} ms before the opening"


def _double(facts: Facts) -> Iterator[str]:
    if len(facts.ours) > 1:
        yield f"booked {len(facts.ours)} times"


def _after_cancel(facts: Facts) -> Iterator[str]:
    for row in facts.rows:
        if row.status == "cancelled" and facts.unaccounted:
            yield "cancelled, and the gym holds a booking"
        if facts.cancelled_ns is not None and row.status != "cancelled":
            yield f"the cancel was confirmed, and the row ended {row}"
    if facts.cancelled_ns is not None:
        later = sum(request.first_byte_ns > facts.cancelled_ns for request in facts.requests)
        if later:
            yield f"{later} booking requests after the cancel was confirmed"


def _falsely_completed(facts: Facts) -> Iterator[str]:
    for row in facts.rows:
        if row.status != "completed":
            continue
        state = facts.bookings.get(row.booking_id or "")
        if row.given_back:
            if state is not None:
                yield f"given back, and the gym still holds booking {row.booking_id}"
        elif state is None:
            yield f"{row} with booking {row.booking_id}, and the gym holds {sorted(facts.bookings) or 'none'}"
        elif row.by_other_program:
            continue
        elif (row.outcome == "waiting_list") != (state == WAITING_LIST):
            yield f"{row}, and the booking's state at the gym is {state}"
        elif row.outcome == "already_booked" and row.booking_id in facts.ours and not _made_by_another(row, facts):
            yield "already_booked, and it was our own booking"
        elif row.outcome not in ("booked", "waiting_list", "already_booked"):
            yield f"completed as {row}"


def _made_by_another(row: Row, facts: Facts) -> bool:
    """Whether another row of the same wish made the booking that this one found."""
    return any(
        other is not row and other.booking_id == row.booking_id and other.outcome in ("booked", "waiting_list")
        for other in facts.rows
    )


def _falsely_failed(facts: Facts) -> Iterator[str]:
    for row in facts.rows:
        if row.status != "failed":
            continue
        if facts.unaccounted and row.outcome != _UNKNOWN:
            yield f"{row}, and the gym holds a booking"
        elif not row.by_other_program and not row.reason_is_true:
            yield f"{row}, which no ledger bears out"


_CHECKS: Mapping[Kind, Callable[[Facts], Iterator[str]]] = {
    Kind.EARLY: _early,
    Kind.DOUBLE: _double,
    Kind.AFTER_CANCEL: _after_cancel,
    Kind.FALSELY_COMPLETED: _falsely_completed,
    Kind.FALSELY_FAILED: _falsely_failed,
}
