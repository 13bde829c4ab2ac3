"""When a message is due, and how long until a row is tried again."""

import random
from datetime import datetime
from math import floor

RELEASE_DELAYS_S = (2, 5, 15, 45)
PARK_DELAYS_S = (15, 45, 300)
PARK_JITTER = 0.25  # either way: else all that one silent gym has parked comes back at one instant, time and again


def not_before(available_at: datetime, lead_s: float) -> int:
    """When the message is due, in whole epoch seconds (QStash knows no finer): never later than the lead."""
    return floor(available_at.timestamp()) - floor(lead_s)


def release_delay(attempts: int, *, least: float = 0.0) -> float:
    """Seconds until a released row is tried again: full jitter, so that 300 don't return together. `least`: the part of
    the longest delay that is waited for in any case.
    """
    longest = RELEASE_DELAYS_S[min(max(attempts, 1), len(RELEASE_DELAYS_S)) - 1]
    return random.uniform(least * longest, longest)  # noqa: S311  # spreads load, guards nothing


def park_delay(parks: int) -> float:
    """Seconds until a parked row is settled again, after the first try at the end of its begin's lease."""
    delay = PARK_DELAYS_S[min(max(parks, 1), len(PARK_DELAYS_S)) - 1]
    return delay * random.uniform(1 - PARK_JITTER, 1 + PARK_JITTER)  # noqa: S311  # spreads load, guards nothing
