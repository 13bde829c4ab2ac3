"""One row and the SQL functions that may write it: to be read beside sql/functions/20_wishes.sql, 25_messages.sql,
40_execution.sql and 45_sweep.sql.

Each function has the SQL's guards in the SQL's order and gives the SQL's answers. A guard asks of an instant only
whether it has come, so that is all a row keeps of it. A token is a small number; 0 is null. Left out is what no guard
reads: the wish, messages' ids, shots, words, `parks` (it only stretches a delay); and rows of the old writers. Nor is
any claim lost before the opening, as all callers can wait equally long for it.
"""
# ruff: noqa: PLR0911  # one return an answer, as in the SQL

from typing import NamedTuple

NULL = 0

# How far the database's clock is: before the end, so near the class's start that it is not to be booked any more, past
# the start (give_up_at), past it by 24 hours.
BEFORE_THE_END, TOO_CLOSE, OVER, LONG_OVER = range(4)


class Row(NamedTuple):
    status: str = "pending"
    version: int = 1
    attempts: int = 0
    opened: bool = False  #: t ≥ available_at − horizon
    waits: bool = False  #: retry_at > t, or what it waits for is begun
    leased: bool = False  #: lease_until > t
    claim_token: int = NULL
    claim_tokens: frozenset[int] = frozenset()  #: all that have claimed it
    claim_counted: bool = False
    begun_token: int = NULL  #: the begin mark: booking_started_at comes and goes with it
    ended_token: int = NULL
    finished_token: int = NULL
    retry_token: int = NULL
    scheduled_version: int = NULL
    outcome: str = ""  #: of a finished row


Answer = tuple[str, Row]


# ---- 40_execution.sql


def claim_prebooking(r: Row, end: int, token: int, version: int, max_attempts: int) -> Answer:  # noqa: C901
    begun = r.begun_token != NULL
    if r.status in ("completed", "failed"):
        return "already_finished", r
    if r.status == "cancelled":
        return "cancelled", r
    if version not in (NULL, r.version):
        return "stale", r
    if r.claim_token == token:
        return "claimed", r if token in (r.begun_token, r.ended_token) else r._replace(leased=True)
    if r.ended_token == token or token in r.claim_tokens:
        return "already_ended", r
    if r.status == "executing" and r.leased:
        return "held", r

    if begun and end >= LONG_OVER:
        return "outcome_unknown", _end_row(r, "outcome_unknown")
    if not begun and end >= OVER:
        return "expired", _end_row(r, "expired")
    if not begun and r.attempts >= max_attempts:
        return "attempts_exhausted", _end_row(r, "attempts_exhausted")

    if not (r.status == "executing" and begun) and not r.opened:
        return "not_due", r
    if r.status != "executing" and r.waits:
        return "retry_later", r

    return "claimed", r._replace(
        status="executing",
        claim_token=token,
        claim_tokens=r.claim_tokens | {token},
        waits=False,
        leased=True,
        claim_counted=not begun,
        attempts=r.attempts + (not begun),
    )


def renew_claim(r: Row, token: int) -> Answer:
    """One of those that `renew_claims` is asked for."""
    if r.status == "cancelled":
        return "cancelled", r
    if r.status != "executing" or r.claim_token != token or r.ended_token == token:
        return "lost", r
    return "renewed", r if r.begun_token == token else r._replace(leased=True)


def is_to_be_settled(r: Row) -> bool:
    """`begun` of claim_as_json."""
    return r.begun_token not in (NULL, r.claim_token)


def is_only_to_be_settled(r: Row, end: int, max_attempts: int) -> bool:
    """`settle_only` of claim_as_json."""
    return is_to_be_settled(r) and (end >= OVER or r.attempts >= max_attempts)


def begin_booking(
    r: Row,
    end: int,
    token: int,
    max_attempts: int,
    settled: bool,  # noqa: FBT001
    another: bool = False,  # noqa: FBT001, FBT002
) -> Answer:
    """`another`: the user has another prebooking that is begun or booked and may be for the same class."""
    if r.status == "cancelled":
        return "cancelled", r
    if r.status != "executing" or r.claim_token != token:
        return "lost", r
    if r.begun_token == token:
        return "begun", r
    if r.begun_token != NULL and not settled:
        return "unsettled", r
    if end >= TOO_CLOSE:
        return "expired", r
    if not r.claim_counted and r.attempts >= max_attempts:
        return "attempts_exhausted", r
    if another:
        return "held", r._replace(
            status="pending",
            waits=True,
            claim_token=NULL,
            leased=False,
            ended_token=token,
            begun_token=NULL,
            attempts=r.attempts - r.claim_counted,
            claim_counted=False,
        )
    return "begun", r._replace(
        begun_token=token, leased=True, attempts=r.attempts + (not r.claim_counted), claim_counted=True
    )


def finish_booking(r: Row, token: int, outcome: str) -> Answer:
    if r.finished_token == token and r.status in ("completed", "failed"):
        return "finished", r
    if r.status != "executing" or r.claim_token != token:
        return "lost", r
    return "finished", r._replace(
        status="completed" if outcome == "booked" else "failed",
        outcome=outcome,
        claim_token=NULL,
        leased=False,
        finished_token=token,
        begun_token=r.begun_token if outcome == "outcome_unknown" else NULL,
    )


def release_prebooking(r: Row, token: int, graceful: bool, settled: bool) -> Answer:  # noqa: FBT001
    """`p_retry_seconds` is more than 0."""
    if r.ended_token == token and r.status == "pending":
        return "released", r
    if r.status != "executing" or r.claim_token != token:
        return "lost", r
    if r.begun_token not in (NULL, token) and not settled:
        return "unsettled", r
    return "released", r._replace(
        status="pending",
        waits=True,
        claim_token=NULL,
        leased=False,
        ended_token=token,
        begun_token=NULL,
        attempts=r.attempts - (graceful and r.claim_counted),
        claim_counted=False,
    )


def park_prebooking(r: Row, token: int, retry: bool) -> Answer:  # noqa: FBT001
    """`retry`: p_retry_seconds is given, and more than 0."""
    if r.status != "executing" or r.claim_token != token:
        return "lost", r
    if r.ended_token != token:
        r = r._replace(leased=retry or r.leased, ended_token=token)
    return "parked", r


def _end_row(r: Row, outcome: str) -> Row:
    return r._replace(status="failed", outcome=outcome, claim_token=NULL, leased=False, waits=False)


# ---- 20_wishes.sql and 25_messages.sql


def attach_message(r: Row, version: int) -> Answer:
    if r.status == "cancelled":
        return "cancelled", r
    if r.version != version:
        return "stale", r
    return "attached", r._replace(scheduled_version=version)


def cancel_prebooking(r: Row) -> Answer:
    if r.status in ("completed", "failed"):
        return "already_finished", r
    if r.status == "executing" and r.begun_token != NULL:
        return "booking_in_progress", r
    if r.status != "cancelled":
        r = r._replace(status="cancelled", claim_token=NULL, leased=False, waits=False)
    return "cancelled", r


def reschedule_prebooking(r: Row, end: int) -> Answer:
    """To a later opening than it has."""
    if r.status == "executing":
        return "booking_in_progress", r
    if r.status != "pending":
        return "already_finished", r
    if end >= OVER:
        return "too_late", r
    return "rescheduled", r._replace(opened=False, version=r.version + 1, attempts=0, waits=False)


def retry_prebooking(r: Row, end: int, token: int) -> Answer:
    """At the opening that it has."""
    if r.retry_token == token:
        return "retried", r
    if r.status == "executing":
        return "booking_in_progress", r
    if r.status in ("completed", "cancelled"):
        return "already_finished", r
    if r.status != "failed":
        return "not_failed", r
    if end >= OVER:
        return "too_late", r
    return "retried", r._replace(
        status="pending",
        version=r.version + 1,
        claim_token=NULL,
        leased=False,
        attempts=0,
        waits=False,
        ended_token=NULL,
        retry_token=token,
        outcome="",
    )


def note_delivery_failure(r: Row, version: int) -> Answer:
    if r.version == version == r.scheduled_version and r.status == "pending":
        return "noted", r._replace(scheduled_version=NULL)
    return "nothing_to_note", r


# ---- 45_sweep.sql: which of its lists the row is on


def sweep_executes(r: Row, end: int) -> bool:
    if r.status == "pending":
        return (r.opened or end >= OVER) and not r.waits
    return r.status == "executing" and not r.leased


def sweep_publishes(r: Row, end: int) -> bool:
    return r.status == "pending" and r.scheduled_version != r.version and not r.opened and end < OVER
