"""The ledgers joined, wish by wish: what its member heard, its rows in the database, its bookings at the gym."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.reliability.faults import old_cron, sessions
from tests.reliability.faults.counted import Try
from tests.reliability.faults.fault_schedule import FaultWindow
from tests.reliability.faults.fleet import Death
from tests.reliability.faults.plan import Opening
from tests.reliability.faults.signers import SignedIn
from tests.reliability.faults.users import UserLog
from tests.reliability.faults.weekly_members import SeriesLedgers

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOOK = "/api/book"


@dataclass(frozen=True, slots=True)
class WishRecord:
    """One wish in all ledgers."""

    log: UserLog
    rows: list[dict[str, Any]]
    bookings: list[dict[str, Any]]  #: held by the gym
    requests: list[dict[str, Any]]  #: to book it, as the gym saw them
    member_requests: list[dict[str, Any]]  #: of any kind, of the same member
    clashes: bool  #: the member holds another booking of that hour

    @property
    def ours(self) -> list[dict[str, Any]]:
        return [request for request in self.requests if not is_crons(request)]

    @property
    def crons(self) -> set[str]:
        """The bookings that the old cron made."""
        return {str(r["decided"]["id"]) for r in self.requests if is_crons(r) and (r["decided"] or {}).get("id")}


@dataclass(frozen=True, slots=True)
class SignIns:
    """What is known of those who sign in with a password."""

    tries: list[Try]
    remembered: dict[str, bool]  #: by e-mail, in the database at the end
    told_remembered: list[str]  #: who was told so
    odd: list[SignedIn]
    found: Mapping[str, int]  #: passwords, by where they were
    looked_at: Mapping[str, int]  #: characters, by where


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known at the end."""

    user_logs: list[UserLog]
    openings: list[Opening]
    rows: list[dict[str, Any]]
    bookings: list[dict[str, Any]]
    requests: list[dict[str, Any]]
    fault_windows: list[FaultWindow]
    deaths: list[Death]
    sessions: sessions.Ledger
    sign_ins: SignIns
    series: SeriesLedgers
    calm_at: float  #: epoch seconds of the end of the last fault
    leases: Mapping[str, float]  #: when, at that time, each executing row could be claimed next (epoch seconds)


def wish_records(evidence: Evidence) -> Iterator[WishRecord]:
    rows, bookings, requests = defaultdict(list), defaultdict(list), defaultdict(list)
    of_member, hours = defaultdict(list), defaultdict(set)
    days = {opening.class_id: (opening.box, opening.day) for opening in evidence.openings}
    for row in evidence.rows:
        rows[row["user_email"], int(row["booking_data"]["id"])].append(row)
    for booking in evidence.bookings:
        bookings[booking["member"], booking["class_id"]].append(booking)
        hours[booking["member"], days[booking["class_id"]]].add(booking["class_id"])
    for request in evidence.requests:
        of_member[request["member"]].append(request)
        if request["path"] == _BOOK and request["form"].get("id", "").isdigit():
            requests[request["member"], int(request["form"]["id"])].append(request)
    for log in evidence.user_logs:
        key = log.wish.key
        held_then = hours[key[0], days[key[1]]] - {key[1]}
        yield WishRecord(log, rows[key], bookings[key], requests[key], of_member[key[0]], bool(held_then))


def nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def is_crons(request: dict[str, Any]) -> bool:
    return bool(request["target"].endswith(f"by={old_cron.BY}"))
