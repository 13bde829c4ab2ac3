"""Whose e-mail it is: it belongs to the first account that comes with it in a token."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """`owned`: the account speaks for `email`; `taken`: that is another's; `stale`: it was taken from this account."""

    outcome: Literal["owned", "taken", "stale"]
    email: str | None = None


class OwnerStore(Protocol):
    async def own_email(self, sub: str, email: str, issued_at: datetime | None) -> Ownership:
        """An e-mail that nobody has becomes this account's, and what it kept under another one follows."""
        ...
