"""The result of a change to a prebooking as a response, or as the problem that refuses it."""

from starlette.responses import JSONResponse, Response

from prebooking.domain.ports import Transition
from prebooking.web.problems import Problem, invalid, too_often
from prebooking.web.schemas.rows import as_json

_REFUSALS = {
    "exists": (
        "prebooking-exists",
        "You have a prebooking of this class already, with another opening: move that one.",
    ),
    "booking_in_progress": ("booking-in-progress", "It is being booked right now: wait for its result."),
    "already_finished": ("already-finished", "It has ended already."),
    "not_failed": ("not-failed", "Only a failed prebooking can be retried; this one is still waiting."),
}


def response(transition: Transition, status: int = 200, *, opening: str = "available_at") -> Response:
    """The row as it is now, or the refusal in its HTTP form. `opening`: the field that told it."""
    if transition.outcome in _REFUSALS:
        code, detail = _REFUSALS[transition.outcome]
        raise Problem(409, detail, code=code, prebooking_id=transition.prebooking and str(transition.prebooking.id))
    if transition.outcome == "too_many":
        raise too_many(transition)
    if transition.outcome == "key_reused":
        raise key_reused()
    if transition.outcome == "too_late":
        raise invalid(opening, f"the class can be booked until {transition.give_up_at}: nothing is left to wait for")
    if transition.prebooking is None:
        raise not_found()
    return JSONResponse(as_json(transition.prebooking), status)


def too_many(refused: Transition) -> Problem:
    """Which limit it is, and what to do about it. Only the one by the minute lifts by itself."""
    if not refused.retry_after:
        detail = f"You have {refused.limit} active prebookings, the most at once: cancel one, or wait for one to end."
        return Problem(429, detail, code="too-many")
    what = f"You made, moved or retried {refused.limit} prebookings within a minute, the most"
    return too_often(what, refused.retry_after)


def key_reused() -> Problem:
    told = "was used for another wish: make a new key for each"
    return invalid("Idempotency-Key", told, code="idempotency-key-reused")


def not_found() -> Problem:
    return Problem(404, "There is no such prebooking of yours.")


# Examples for /openapi.json.
EXISTS, IN_PROGRESS, FINISHED, NOT_FAILED = (
    Problem(409, detail, code=code, prebooking_id="0c8f6b52-5d0f-4c9a-9f0e-2f6b1f4f7a11")
    for code, detail in _REFUSALS.values()
)
TOO_MANY = too_many(Transition(outcome="too_many", limit=30, retry_after=17))
NOT_YOURS = not_found()
TOO_LATE = invalid(
    "available_at", "the class can be booked until 2030-11-28 17:00:00+00:00: nothing is left to wait for"
)
