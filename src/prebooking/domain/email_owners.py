"""Whose e-mail it is: it belongs to the first account that comes with it in a token."""

from dataclasses import dataclass

from prebooking.domain.store_outcomes import StoreOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """OWNED: the account speaks for `email`; TAKEN: that is another's; STALE: it was taken from this account."""

    outcome: StoreOutcome
    email: str | None = None
