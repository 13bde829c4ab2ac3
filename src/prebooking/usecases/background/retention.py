"""Deletes rows that ended long ago, in small batches that block nothing."""

import structlog

from prebooking.domain.ports import Clock, Store
from prebooking.usecases.booking.gate import Gate

_log = structlog.get_logger()

_EVERY_S = 3600.0
_BATCHES = 20  # batches in one pass; the next hour goes on


class Retention:
    def __init__(self, store: Store, gate: Gate, clock: Clock, *, days: int) -> None:
        self._store = store
        self._gate = gate
        self._clock = clock
        self._days = days
        self._next_at = float("-inf")

    async def tidy(self) -> None:
        """Deletes old rows, at most once an hour. Raises StoreUnavailableError."""
        if self._clock.monotonic() < self._next_at:
            return
        self._next_at = self._clock.monotonic() + _EVERY_S
        removed = 0
        for _ in range(_BATCHES):
            await self._gate.calm()
            number, more = await self._store.remove_old(days=self._days)
            removed += number
            if not more:
                break
        if removed:
            _log.info("rows_removed", number=removed)
