"""The result of a change to a prebooking as a response, or as the problem that refuses it."""

from datetime import UTC, datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.domain.transitions import Transition
from prebooking.web.problems import Problem, invalid, too_often
from prebooking.web.schemas.rows import as_json

_REFUSALS: dict[str, tuple[str, str]] = {
    StoreOutcome.EXISTS: (
        "prebooking-exists",
        "You already have a prebooking of this class with another opening: reschedule that one.",
    ),
    StoreOutcome.BOOKING_IN_PROGRESS: (
        "booking-in-progress",
        "The prebooking is being booked right now: wait for its result.",
    ),
    StoreOutcome.ALREADY_FINISHED: ("already-finished", "The prebooking has already ended."),
    StoreOutcome.NOT_FAILED: ("not-failed", "Only a failed prebooking can be retried; this one is still pending."),
}


def response(transition: Transition, status: int = 200, *, opening: str = "available_at") -> Response:
    """Returns the current row. Raises Problem if the change was refused; `opening` is the field to name."""
    if transition.outcome in _REFUSALS:
        code, detail = _REFUSALS[transition.outcome]
        raise Problem(409, detail, code=code, prebooking_id=transition.prebooking and str(transition.prebooking.id))
    if transition.outcome == StoreOutcome.TOO_MANY:
        raise too_many(transition)
    if transition.outcome == StoreOutcome.KEY_REUSED:
        raise key_reused()
    if transition.outcome == StoreOutcome.TOO_LATE:
        assert transition.give_up_at is not None
        raise too_late(opening, transition.give_up_at)
    if transition.prebooking is None:
        raise not_found()
    return JSONResponse(as_json(transition.prebooking), status)


def too_late(opening: str, give_up_at: datetime) -> Problem:
    fix = "choose an earlier opening" if give_up_at > datetime.now(UTC) else "it is over, so choose another class"
    return invalid(
        opening, f"the class could be booked only until {give_up_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}: {fix}"
    )


def too_many(refused: Transition) -> Problem:
    """Names the limit and what to do. Only the limit per minute is lifted by waiting."""
    if not refused.retry_after:
        detail = f"You have {refused.limit} active prebookings, the maximum: cancel one, or wait until one has ended."
        return Problem(429, detail, code="too-many")
    what = f"You created, rescheduled or retried {refused.limit} prebookings within a minute, the maximum"
    return too_often(what, refused.retry_after)


def key_reused() -> Problem:
    fix = "was used for another request: generate a new key for each"
    return invalid("Idempotency-Key", fix, code="idempotency-key-reused")


def not_found() -> Problem:
    return Problem(404, "You have no prebooking with this id.")


def prebooking_id(request: Request) -> UUID:
    """Returns the id in the path. Raises Problem."""
    try:
        return UUID(request.path_params["id"])
    except ValueError as exc:
        raise not_found() from exc


# Examples for /openapi.json.
EXISTS, IN_PROGRESS, FINISHED, NOT_FAILED = (
    Problem(409, detail, code=code, prebooking_id="0c8f6b52-5d0f-4c9a-9f0e-2f6b1f4f7a11")
    for code, detail in _REFUSALS.values()
)
TOO_MANY = too_many(Transition(outcome=StoreOutcome.TOO_MANY, limit=30, retry_after=17))
NOT_YOURS = not_found()
TOO_LATE = too_late("available_at", datetime(2030, 11, 28, 17, tzinfo=UTC))
