"""When each of those who share an opening begins: the more there are, the earlier, one after another.

Till then it can be cancelled, so it is late. But a thousand that began at one instant would still be at it when the
class opens: each begin costs a core and the database some milliseconds.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_LAST_S = 1.5
_EACH_S = 0.005


class BeginStagger:
    """Of one process."""

    def __init__(self) -> None:
        self._waiting: Counter[float] = Counter()

    @contextmanager
    def take(self, opening: float) -> Iterator[float]:
        """How many seconds before its opening (epoch seconds) it begins; inside, it waits for that."""
        ahead_s = _LAST_S + _EACH_S * self._waiting[opening]
        self._waiting[opening] += 1
        try:
            yield ahead_s
        finally:
            self._waiting[opening] -= 1
            if not self._waiting[opening]:
                del self._waiting[opening]
