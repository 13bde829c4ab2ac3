"""For whom an account speaks: asked once a token, and kept for a while."""

from datetime import datetime

from async_lru import alru_cache

from prebooking.domain.errors import EmailStaleError, EmailTakenError
from prebooking.domain.ports import OwnerStore
from prebooking.domain.store_outcomes import StoreOutcome

_KEPT = 10_000  # tokens
_KEPT_S = 20.0  # who has lost an e-mail in another process speaks for it no longer than that


class EmailOwners:
    """Asks the database once for all who ask with one token at a time. What it refuses is not kept."""

    def __init__(self, store: OwnerStore) -> None:
        self._store = store
        self._known: dict[str, str] = {}
        self.email_of = alru_cache(maxsize=_KEPT, ttl=_KEPT_S)(self._email_of)

    async def _email_of(self, sub: str, email: str, issued_at: datetime | None) -> str:
        """Raises EmailTakenError, EmailStaleError, and what the store raises."""
        answer = await self._store.own_email(sub, email, issued_at)
        if answer.outcome == StoreOutcome.TAKEN:
            raise EmailTakenError(email)
        if answer.outcome == StoreOutcome.STALE or answer.email is None:
            raise EmailStaleError(email)
        self._learn(sub, answer.email)
        return answer.email

    def _learn(self, sub: str, email: str) -> None:
        """What an account's older tokens were told no longer holds once it has moved, which is rare."""
        if self._known.pop(sub, email) != email:
            self.email_of.cache_clear()
        self._known[sub] = email
        if len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
