"""Whether the database is there, for whoever asks: load balancers, monitors, and strangers as often as they like."""

from async_lru import alru_cache

from prebooking.domain.ports import Store

_KEPT_S = 1.0


class Readiness:
    """Asks the database once at a time, however many ask, and keeps a good answer for a second."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.check = alru_cache(maxsize=1, ttl=_KEPT_S)(self._check)

    async def _check(self) -> None:
        """Raises what the store raises, which is not kept: what was away may be back."""
        await self._store.check()
