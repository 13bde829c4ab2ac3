"""Compares the gym's ledger with the rows: each booking request is of a begun row; the oracle checks each end."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.reliability import oracle
from tests.reliability.machine.history import MAX_ATTEMPTS, REARMING, Change, Row, Wish
from tests.reliability.oracle import Facts, Request, granted, violations

from prebooking_local.aimharder import AimHarder, Entry

BOOK = "/api/book"
EPOCH = datetime.fromtimestamp(0, UTC)
_FULL, _TOO_EARLY, _SAME_HOUR = -1, "ERROR_ANTELACION_CLIENTE", "NOPUEDESRESERVAMISMAHORA"


@dataclass(slots=True)
class SendWindow:
    """From a claim's begin to its end its request may be sent, though not before the opening."""

    row: Row
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A booking request, and the opening that was in force. The gym may decide later than it is looked at first."""

    entry: Entry
    opening: datetime

    def as_request(self) -> Request:
        return Request(
            first_byte_ns=self.entry.request.first_byte_ns,
            opens_ns=(self.opening - EPOCH) // timedelta(microseconds=1) * 1000,
            booking_id=granted(self.entry.decided),
        )


@dataclass(slots=True)
class LedgerChecker:
    gym: AimHarder
    windows: list[SendWindow] = field(default_factory=list)
    sent: dict[str, list[Sent]] = field(default_factory=dict)  #: by the id of the prebooking they were for
    armed: dict[str, int] = field(default_factory=dict)  #: how many of them came before it was last armed
    incidents: set[str] = field(default_factory=set)  #: what may explain a failure
    _seen: int = 0

    def observe(self, changes: list[Change]) -> None:
        """Takes the windows first, then the requests that they cover, then what has ended."""
        for change in changes:
            self._update_window(change)
        entries = self.gym.ledger.of(BOOK)
        for entry in entries[self._seen :]:
            self._attribute(entry)
        self._seen = len(entries)
        for change in changes:
            if change.function in REARMING:
                self.armed[change.new.id] = len(self.sent.get(change.new.id, ()))
            if change.old and change.old.active and not change.new.active:
                self._check_end(change)

    def _update_window(self, change: Change) -> None:
        row = change.new
        open_ = next((window for window in self.windows if window.row.id == row.id and window.until is None), None)
        if open_ and not (row.may_send and row.image["begun_token"] == open_.row.image["begun_token"]):
            open_.until = change.at
            open_ = None
        if row.may_send and not open_:
            self.windows.append(SendWindow(row, change.at))

    def _attribute(self, entry: Entry) -> None:
        """Fails for a request of no begun row: so for one after a confirmed cancel, or of a row that had ended."""
        at = EPOCH + timedelta(microseconds=entry.request.first_byte_ns // 1000)
        window = next((w for w in self.windows if _is_for(entry, w.row) and w.since <= at <= (w.until or at)), None)
        assert window is not None, f"a booking request of {entry.member}, {entry.request.form} at {at}, but none begun"
        self.sent.setdefault(window.row.id, []).append(Sent(entry, window.row.opening))
        self.check_requests(window.row)

    def holds(self, wish: Wish) -> dict[str, int]:
        """The user's bookings of that class at the gym: state by id."""
        email, class_id, family_id = wish
        return {
            str(booking["id"]): booking["state"]
            for booking in self.gym.site.bookings()
            if (booking["member"], str(booking["class_id"]), booking["family_id"]) == (email, class_id, family_id)
        }

    def check_requests(self, row: Row) -> None:
        """Fails if one was early, or more than one was granted: that can be said of a row that has not ended, too."""
        wrong = violations(Facts(rows=[], bookings={}, requests=self._requests(row)))
        assert not wrong, f"{wrong[0]}: {row.image}"

    def _check_end(self, change: Change) -> None:
        row = change.new
        requests, held = self._requests(row), self.holds(row.wish)
        facts = Facts(
            rows=[oracle.Row.read(row.image, reason_is_true=row.status == "failed" and self._is_true(row, change))],
            bookings=held,
            requests=requests,
            foreign=frozenset(held.keys() - {request.booking_id for request in requests}),
        )
        wrong = violations(facts)
        assert not wrong, f"{wrong[0]}: {row.image}, {self._answers(row)}, {self.incidents}"
        if row.status == "completed":
            assert row.image["result"]["success"] is True, row.image
        elif row.status == "failed":
            assert row.image["error_code"] == row.outcome, row.image

    def _requests(self, row: Row) -> list[Request]:
        return [sent.as_request() for sent in self.sent.get(row.id, ())]

    def _answers(self, row: Row) -> list[Any]:
        """What the gym has answered it since it was armed."""
        sent = self.sent.get(row.id, [])[self.armed.get(row.id, 0) :]
        return [one.entry.decided for one in sent if one.entry.decided is not None]

    def _is_true(self, row: Row, change: Change) -> bool:
        answers, incidents = self._answers(row), self.incidents
        begun = change.old is not None and change.old.begun
        reasons = {
            "class_full": any(answer.get("bookState") == _FULL for answer in answers),
            "too_early": any(answer.get("errorMssgLang") == _TOO_EARLY for answer in answers),
            "time_clash": any(answer.get("errorMssgLang") == _SAME_HOUR for answer in answers),
            "refused": bool(incidents & {"class cancelled", "refuses"}),
            "class_not_found": "class cancelled" in incidents,
            "session_expired": f"{row.email} signed out" in incidents,
            "gym_unreachable": "gym_unreachable" in incidents,
            "blocked": "blocked" in incidents,
            "attempts_exhausted": row.image["attempts"] == MAX_ATTEMPTS and "interrupted" in incidents,
            "expired": change.at >= row.give_up_at,
            "outcome_unknown": begun and change.at >= row.give_up_at + timedelta(hours=24),
        }
        return reasons.get(row.outcome, False)


def _is_for(entry: Entry, row: Row) -> bool:
    """Whether the request may be that row's. The gym does not know the member of a dead session, and books nothing."""
    email, *wished = row.wish
    if entry.member is None:
        assert granted(entry.decided) is None, entry.decided
    return entry.member in (email, None) and wished == [entry.request.form["id"], entry.request.form["familyId"]]
