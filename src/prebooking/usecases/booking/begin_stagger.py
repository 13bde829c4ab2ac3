"""Staggers the begins of executions that share an opening: the more there are, the earlier each next one begins.

A begin comes late, as a prebooking can be cancelled until then. But a thousand begins at one instant would not be done
when the class opens: each costs a core and the database some milliseconds.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_LAST_S = 1.5
_EACH_S = 0.005


class BeginStagger:
    """The begins of one process."""

    def __init__(self) -> None:
        self._waiting: Counter[float] = Counter()

    @contextmanager
    def take(self, opening: float) -> Iterator[float]:
        """Yields how many seconds before `opening` (epoch seconds) to begin. Its caller waits for that inside."""
        ahead_s = _LAST_S + _EACH_S * self._waiting[opening]
        self._waiting[opening] += 1
        try:
            yield ahead_s
        finally:
            self._waiting[opening] -= 1
            if not self._waiting[opening]:
                del self._waiting[opening]
