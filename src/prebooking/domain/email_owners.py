"""Whose e-mail it is: it belongs to the first account that comes with it in a token."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """`owned`: the account speaks for `email`; `taken`: that is another's; `stale`: it was taken from this account."""

    outcome: Literal["owned", "taken", "stale"]
    email: str | None = None
