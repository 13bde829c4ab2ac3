"""Is the reason for which a row failed a true one? By the gym's ledger, and the log of faults and deaths."""

from collections.abc import Callable
from typing import Any

from tests.reliability.faults.ledgers import Evidence, WishRecord

_Row = dict[str, Any]
_LEAD_S = 5.0  # what is done before the opening
_SESSION_S = 120.0  # so long after the gym refused a session may a row end for it
_MAX_ATTEMPTS = 5
_SAME_HOUR = "NOPUEDESRESERVAMISMAHORA"
_TOO_EARLY = "ERROR_ANTELACION_CLIENTE"


def is_true(row: _Row, record: WishRecord, evidence: Evidence) -> bool:
    check = _CHECKS.get(row["error_code"])
    return check is not None and check(row, record, evidence)


def _class_full(_: _Row, record: WishRecord, __: Evidence) -> bool:
    return any((request["decided"] or {}).get("bookState") == -1 for request in record.ours)


def _time_clash(_: _Row, record: WishRecord, __: Evidence) -> bool:
    refused = any((request["decided"] or {}).get("errorMssgLang") == _SAME_HOUR for request in record.ours)
    return refused and record.clashes


def _blocked(_: _Row, record: WishRecord, __: Evidence) -> bool:
    return any(request["status"] in (403, 429) for request in record.ours)


def _session_expired(row: _Row, record: WishRecord, _: Evidence) -> bool:
    """The gym itself held it for dead, not only a fault that said so: lately, or before the attempts were used up."""
    ended = row["executed_at"].timestamp()
    lately = any(
        request["decided"] in ({"logout": 1}, {"data": []})
        for request in record.member_requests
        if ended - _SESSION_S < request["first_byte_ns"] / 1e9 < ended
    )
    refused = any(request["decided"] == {"logout": 1} for request in record.ours)
    return lately or (refused and row["attempts"] >= _MAX_ATTEMPTS)


def _gym_unreachable(row: _Row, record: WishRecord, evidence: Evidence) -> bool:
    """A request that got no proper answer, or a fault of the gym meanwhile."""
    began, ended = row["available_at"].timestamp() - _LEAD_S, row["executed_at"].timestamp()
    unanswered = any(request["fault"] or not request["delivered"] for request in record.ours)
    return unanswered or any(
        window.where == "gym" and window.began < ended and window.ended > began for window in evidence.fault_windows
    )


def _attempts_exhausted(row: _Row, _: WishRecord, evidence: Evidence) -> bool:
    """As many attempts as there may be, and each time something died."""
    began, ended = row["available_at"].timestamp() - _LEAD_S, row["executed_at"].timestamp()
    died = sum(began < death.at < ended for death in evidence.deaths)
    failed = sum(window.where == "database" and began < window.ended < ended for window in evidence.fault_windows)
    return bool(row["attempts"] >= _MAX_ATTEMPTS and died + failed >= _MAX_ATTEMPTS)


def _too_early(row: _Row, record: WishRecord, evidence: Evidence) -> bool:
    """No gym of a campaign opens so late that the service may give up: only deaths have used the attempts up, and what
    the gym said last is the reason.
    """
    said = any((request["decided"] or {}).get("errorMssgLang") == _TOO_EARLY for request in record.ours)
    return said and _attempts_exhausted(row, record, evidence)


#: What isn't here is never true in a campaign: no class is removed, over, or unknown.
_CHECKS: dict[str, Callable[[_Row, WishRecord, Evidence], bool]] = {
    "class_full": _class_full,
    "time_clash": _time_clash,
    "blocked": _blocked,
    "session_expired": _session_expired,
    "gym_unreachable": _gym_unreachable,
    "too_early": _too_early,
    "attempts_exhausted": _attempts_exhausted,
}
