"""When a message is due, and the delays before a row is tried again."""

import random
from datetime import datetime
from math import floor

RELEASE_DELAYS_S = (2, 5, 15, 45)
PARK_DELAYS_S = (15, 45, 300)
PARK_JITTER = 0.25  # either way: otherwise all parked rows of a silent gym would be retried at the same instants
# Between two tries at a class that its gym has not opened yet: a tenth of the time since the announced opening.
_PART = 0.1
_SHORTEST_S, _LONGEST_S = 0.1, 30.0


def not_before(available_at: datetime, lead_s: float) -> int:
    """Returns when the message is due, in whole epoch seconds, as QStash requires: never later than the lead."""
    return floor(available_at.timestamp()) - floor(lead_s)


def release_delay(attempts: int, *, least: float = 0.0) -> float:
    """Returns the seconds until a released row is tried again, with full jitter.

    `least`: the shortest delay, as a part of the longest.
    """
    longest = RELEASE_DELAYS_S[min(max(attempts, 1), len(RELEASE_DELAYS_S)) - 1]
    return random.uniform(least * longest, longest)  # noqa: S311  # spreads load, guards nothing


def park_delay(parks: int) -> float:
    """Returns the seconds until a parked row is settled again. The first time is at the end of its begin's lease."""
    delay = PARK_DELAYS_S[min(max(parks, 1), len(PARK_DELAYS_S)) - 1]
    return delay * random.uniform(1 - PARK_JITTER, 1 + PARK_JITTER)  # noqa: S311  # spreads load, guards nothing


def pause_before_late_opening(since_opening_s: float) -> float:
    """Returns the seconds until a class that is not open yet is tried again, with jitter."""
    longest = min(max(since_opening_s * _PART, _SHORTEST_S), _LONGEST_S)
    return max(_SHORTEST_S, longest * random.uniform(0.8, 1))  # noqa: S311  # spreads load, guards nothing
