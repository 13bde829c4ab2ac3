"""The types that several parts of the store parse. Each adapter is built once: that takes milliseconds."""

from pydantic import TypeAdapter

from prebooking.domain.prebooking import Prebooking
from prebooking.domain.transitions import Transition

PREBOOKING = TypeAdapter(Prebooking)
PREBOOKINGS = TypeAdapter(list[Prebooking])
TRANSITION = TypeAdapter(Transition)
