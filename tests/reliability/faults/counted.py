"""Was each login at the gym counted before it was sent, and did the service keep to its own allowance?

By the gym's ledger, and by what the database counted as it was written: successes clear the tables themselves.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LOGIN = "/api/login"
_OWN_AT_MOST, _WITHIN_S = 3, 900.0
_CLOCKS_S = 0.05  # the gym's and the database's are one machine's


@dataclass(frozen=True, slots=True)
class Try:
    """Counted in the database. Epoch seconds."""

    account: str
    own: bool  #: the service's, with a remembered password
    at: float


@dataclass(frozen=True, slots=True)
class Complaint:
    email: str
    text: str


def uncounted(requests: Sequence[Mapping[str, Any]], tries: Sequence[Try]) -> Iterator[Complaint]:
    """Logins that came to the gym before, or without, being counted."""
    logins, counted = defaultdict(list), defaultdict(list)
    for request in requests:
        if request["path"] == LOGIN:
            logins[str(request["member"]).lower()].append(request["first_byte_ns"] / 1e9)
    for one in tries:
        counted[one.account].append(one.at)
    for account, moments in logins.items():
        known = sorted(counted[account])
        for number, moment in enumerate(sorted(moments), 1):
            if bisect_right(known, moment + _CLOCKS_S) < number:
                yield Complaint(account, f"login {number} came before it was counted: {len(known)} were in all")


def too_many(tries: Sequence[Try]) -> Iterator[Complaint]:
    """Accounts for which the service has exceeded its own allowance."""
    own = defaultdict(list)
    for one in tries:
        if one.own:
            own[one.account].append(one.at)
    for account, times in own.items():
        ordered = sorted(times)
        for first, beyond in zip(ordered, ordered[_OWN_AT_MOST:], strict=False):
            if beyond - first < _WITHIN_S:
                yield Complaint(account, f"the service tried more than {_OWN_AT_MOST} times in {beyond - first:.0f} s")


def forgotten(accounts: Mapping[str, bool], wanted: Sequence[str]) -> Iterator[Complaint]:
    """`accounts`: by e-mail, whether a password is remembered; `wanted`: who was told so last."""
    for email in wanted:
        if not accounts.get(email):
            yield Complaint(email, "the password was right, and is remembered no more")
