"""Parses AimHarder's answer to a cancellation."""

from typing import Any

from prebooking.adapters.aimharder.answers import words_of
from prebooking.adapters.aimharder.listing import is_true, whole
from prebooking.domain.giving_back import Cancellation, CancelReply

_KINDS = {1: Cancellation.DONE, 2: Cancellation.LATE}


def read_cancellation(said: Any) -> CancelReply:
    """Returns the answer. Raises ValueError if it can't be read: then the place may be gone."""
    if not isinstance(said, dict):
        raise ValueError("no object")  # noqa: TRY004  # an answer of another shape
    if is_true(said.get("logout")):
        return CancelReply(kind=Cancellation.LOGGED_OUT)
    state = whole(said.get("cancelState"))
    if state is None:
        raise ValueError("no cancelState")
    return CancelReply(kind=_KINDS.get(state, Cancellation.REFUSED), gym_message=words_of(said))
