"""What the gym's own books say of each prebooking: who asked for what, with which right, and what was granted.

They are compared with the rows; the service's own opinion of itself counts for nothing.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.reliability.machine.history import MAX_ATTEMPTS, REARMING, Change, Row, Wish

from prebooking_local.aimharder import AimHarder, Entry

BOOK = "/api/book"
EPOCH = datetime.fromtimestamp(0, UTC)
_FULL, _TOO_EARLY, _SAME_HOUR = -1, "ERROR_ANTELACION_CLIENTE", "NOPUEDESRESERVAMISMAHORA"


@dataclass(slots=True)
class Mark:
    """From a claim's begin to its end its request may leave, if not before the opening."""

    row: Row
    since: datetime
    until: datetime | None = None


@dataclass(slots=True)
class Witness:
    gym: AimHarder
    marks: list[Mark] = field(default_factory=list)
    asked: dict[str, list[Entry]] = field(default_factory=dict)  #: booking requests by the prebooking they were for
    armed: dict[str, int] = field(default_factory=dict)  #: how many of them came before it was last armed
    happened: set[str] = field(default_factory=set)  #: the bad days that explain a failure
    _seen: int = 0

    def take_in(self, changes: list[Change]) -> None:
        """First the marks, then the requests that they cover, then what has ended."""
        for change in changes:
            self._mark(change)
        entries = self.gym.ledger.of(BOOK)
        for entry in entries[self._seen :]:
            self._attribute(entry)
        self._seen = len(entries)
        for change in changes:
            if change.function in REARMING:
                self.armed[change.new.id] = len(self.asked.get(change.new.id, ()))
            if change.old and change.old.active:
                self._check_end(change)

    def _mark(self, change: Change) -> None:
        row = change.new
        standing = next((mark for mark in self.marks if mark.row.id == row.id and mark.until is None), None)
        if standing and not (row.may_fire and row.image["begun_token"] == standing.row.image["begun_token"]):
            standing.until = change.at
            standing = None
        if row.may_fire and not standing:
            self.marks.append(Mark(row, change.at))

    def _attribute(self, entry: Entry) -> None:
        """No request without a begin mark: so none after a confirmed cancel, none of an ended row, none too early."""
        at = EPOCH + timedelta(microseconds=entry.request.first_byte_ns // 1000)
        wish = _wish(entry)
        mark = next((m for m in self.marks if m.row.wish == wish and m.since <= at <= (m.until or at)), None)
        assert mark is not None, f"a booking request of {wish} at {at} that no row had begun"
        assert at >= mark.row.opening, f"fired at {at}, before the opening of {mark.row.image}"
        asked = self.asked.setdefault(mark.row.id, [])
        asked.append(entry)

    def granted(self, row: Row) -> list[dict[str, Any]]:
        """What the gym has given for it; a request may be carried out late."""
        return [entry.decided for entry in self.asked.get(row.id, ()) if _is_grant(entry.decided)]

    def holds(self, wish: Wish) -> dict[str, int]:
        """The user's places in that class, by their ids: 1 booked, 0 waiting."""
        email, class_id, family_id = wish
        return {
            str(booking["id"]): booking["state"]
            for booking in self.gym.site.bookings()
            if (booking["member"], str(booking["class_id"]), booking["family_id"]) == (email, class_id, family_id)
        }

    def check_once(self, row: Row) -> None:
        granted = self.granted(row)
        assert len(granted) <= 1, f"booked {len(granted)} times: {row.image}"

    def _check_end(self, change: Change) -> None:
        row = change.new
        if row.status == "completed":
            self._check_success(row)
        elif row.status == "failed":
            assert row.image["error_code"] == row.outcome, row.image
            assert self._is_true(row, change), f"not the reason: {row.image}, {self._said(row)}, {self.happened}"
            if row.outcome != "outcome_unknown":
                assert not self.granted(row), f"told as failed, but booked: {row.image}"

    def _check_success(self, row: Row) -> None:
        result, held = row.image["result"], self.holds(row.wish)
        assert result["success"] is True, row.image
        if row.outcome == "booked":
            assert 1 in held.values(), f"told as booked, but it isn't: {row.image}"
            assert result["bookingId"] in held, row.image
        else:
            assert row.outcome in ("already_booked", "waiting_list"), row.image
            assert held, f"told as {row.outcome}, but the gym knows nothing of it: {row.image}"

    def _said(self, row: Row) -> list[Any]:
        """What the gym has answered it, since it was armed."""
        entries = self.asked.get(row.id, [])[self.armed.get(row.id, 0) :]
        return [entry.decided for entry in entries if entry.decided is not None]

    def _is_true(self, row: Row, change: Change) -> bool:
        said, happened = self._said(row), self.happened
        begun = change.old is not None and change.old.begun
        reasons = {
            "class_full": any(answer.get("bookState") == _FULL for answer in said),
            "too_early": any(answer.get("errorMssgLang") == _TOO_EARLY for answer in said),
            "time_clash": any(answer.get("errorMssgLang") == _SAME_HOUR for answer in said),
            "refused": bool(happened & {"class cancelled", "refuses"}),
            "class_not_found": "class cancelled" in happened,
            "session_expired": f"{row.email} signed out" in happened,
            "gym_unreachable": "gym_unreachable" in happened,
            "blocked": "blocked" in happened,
            "attempts_exhausted": row.image["attempts"] == MAX_ATTEMPTS and "interrupted" in happened,
            "expired": change.at >= row.give_up_at,
            "outcome_unknown": begun and change.at >= row.give_up_at + timedelta(hours=24),
        }
        return reasons.get(row.outcome, False)


def _wish(entry: Entry) -> Wish:
    form = entry.request.form
    return entry.member or "", form["id"], form["familyId"]


def _is_grant(decided: Any) -> bool:
    return isinstance(decided, dict) and decided.get("bookState") in (0, 1) and "id" in decided
