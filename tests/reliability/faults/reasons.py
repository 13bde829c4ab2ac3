"""Is the reason for which a row failed a true one? The gym's ledger says, and the log of the weather and the deaths."""

from collections.abc import Callable
from typing import Any

from tests.reliability.faults.ledgers import Case, Evidence

_Row = dict[str, Any]
_LEAD_S = 5.0  # what is done before the opening
_SESSION_S = 120.0  # so long after it was told that a session is dead may a row end as that
_MAX_ATTEMPTS = 5
_SAME_HOUR = "NOPUEDESRESERVAMISMAHORA"
_TOO_EARLY = "ERROR_ANTELACION_CLIENTE"


def is_true(row: _Row, case: Case, evidence: Evidence) -> bool:
    check = _CHECKS.get(row["error_code"])
    return check is not None and check(row, case, evidence)


def _class_full(_: _Row, case: Case, __: Evidence) -> bool:
    return any((request["decided"] or {}).get("bookState") == -1 for request in case.ours)


def _time_clash(_: _Row, case: Case, __: Evidence) -> bool:
    refused = any((request["decided"] or {}).get("errorMssgLang") == _SAME_HOUR for request in case.ours)
    return refused and case.clashes


def _blocked(_: _Row, case: Case, __: Evidence) -> bool:
    return any(request["status"] in (403, 429) for request in case.ours)


def _session_expired(row: _Row, case: Case, _: Evidence) -> bool:
    """The gym itself held it for dead, not only a fault that said so: lately, or before the attempts were used up."""
    ended = row["executed_at"].timestamp()
    lately = any(
        request["decided"] in ({"logout": 1}, {"data": []})
        for request in case.member_requests
        if ended - _SESSION_S < request["first_byte_ns"] / 1e9 < ended
    )
    refused = any(request["decided"] == {"logout": 1} for request in case.ours)
    return lately or (refused and row["attempts"] >= _MAX_ATTEMPTS)


def _gym_unreachable(row: _Row, case: Case, evidence: Evidence) -> bool:
    """A request that got no proper answer, or bad weather at the gym meanwhile."""
    began, ended = row["available_at"].timestamp() - _LEAD_S, row["executed_at"].timestamp()
    unanswered = any(request["fault"] or not request["delivered"] for request in case.ours)
    return unanswered or any(
        spell.where == "gym" and spell.began < ended and spell.ended > began for spell in evidence.spells
    )


def _attempts_exhausted(row: _Row, _: Case, evidence: Evidence) -> bool:
    """As many attempts as there may be, and each time something died."""
    began, ended = row["available_at"].timestamp() - _LEAD_S, row["executed_at"].timestamp()
    died = sum(began < death.at < ended for death in evidence.deaths)
    failed = sum(spell.where == "database" and began < spell.ended < ended for spell in evidence.spells)
    return bool(row["attempts"] >= _MAX_ATTEMPTS and died + failed >= _MAX_ATTEMPTS)


def _too_early(row: _Row, case: Case, evidence: Evidence) -> bool:
    """No gym of a campaign opens so late that the service may give up: only deaths have used the attempts up, and what
    the gym said last is the reason.
    """
    said = any((request["decided"] or {}).get("errorMssgLang") == _TOO_EARLY for request in case.ours)
    return said and _attempts_exhausted(row, case, evidence)


#: What isn't here is never true in a campaign: no class is removed, over, or unknown.
_CHECKS: dict[str, Callable[[_Row, Case, Evidence], bool]] = {
    "class_full": _class_full,
    "time_clash": _time_clash,
    "blocked": _blocked,
    "session_expired": _session_expired,
    "gym_unreachable": _gym_unreachable,
    "too_early": _too_early,
    "attempts_exhausted": _attempts_exhausted,
}
