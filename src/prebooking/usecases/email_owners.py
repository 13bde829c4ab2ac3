"""Finds out which e-mail address an account may use, and caches it by token."""

from datetime import datetime

from async_lru import alru_cache

from prebooking.domain.errors import EmailStaleError, EmailTakenError
from prebooking.domain.ports import OwnerStore
from prebooking.domain.store_outcomes import StoreOutcome

_KEPT = 10_000  # tokens
_KEPT_S = 20.0  # an address that was released in another process can be used no longer than that


class EmailOwners:
    """Asks the database once for concurrent requests with the same token. Refusals are not cached."""

    def __init__(self, store: OwnerStore) -> None:
        self._store = store
        self._known: dict[str, str] = {}
        self.email_of = alru_cache(maxsize=_KEPT, ttl=_KEPT_S)(self._email_of)

    async def _email_of(self, sub: str, email: str, issued_at: datetime | None) -> str:
        """Returns the address. Raises EmailTakenError, EmailStaleError, and as the store."""
        answer = await self._store.own_email(sub, email, issued_at)
        if answer.outcome == StoreOutcome.TAKEN:
            raise EmailTakenError(email)
        if answer.outcome == StoreOutcome.STALE or answer.email is None:
            raise EmailStaleError(email)
        self._learn(sub, answer.email)
        return answer.email

    def _learn(self, sub: str, email: str) -> None:
        """Caches the answer.

        If the account has another address now, which is rare, answers for its older tokens are dropped.
        """
        if self._known.pop(sub, email) != email:
            self.email_of.cache_clear()
        self._known[sub] = email
        if len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
