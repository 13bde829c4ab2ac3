"""Checks whether the database responds, for load balancers and monitors. Anybody may call it, at any rate."""

from async_lru import alru_cache

from prebooking.domain.ports import Store

_KEPT_S = 1.0


class Readiness:
    """Runs one check at a time for all callers, and caches success for a second."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.check = alru_cache(maxsize=1, ttl=_KEPT_S)(self._check)

    async def _check(self) -> None:
        """Raises as the store. Failures are not cached."""
        await self._store.check()
