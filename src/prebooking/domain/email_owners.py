"""Ownership of e-mail addresses: the first account whose token has an address owns it."""

from dataclasses import dataclass

from prebooking.domain.store_outcomes import StoreOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Who owns an e-mail address. OWNED: the account; TAKEN: another one; STALE: the account lost it after its token
    was issued.
    """

    outcome: StoreOutcome
    email: str | None = None
