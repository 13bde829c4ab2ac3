"""Why an access token is refused: logged at a bounded rate and counted, but not told to the client."""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import structlog

_log = structlog.get_logger()

_LOGGED_EVERY_S = 60.0
_SHOWN = 120


class TokenCheck(StrEnum):
    """The check that refused a token."""

    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    NO_SECRET = "no_secret"  # noqa: S105  # a word for its absence
    KEY = "key"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    CLAIMS = "claims"
    ROLE = "role"
    EMAIL = "email"
    OWNER = "owner"


class TokenRefusedError(Exception):
    """The text is for the operator: what the token has, and what is expected."""

    def __init__(self, check: TokenCheck, reason: str) -> None:
        super().__init__(reason)
        self.check = check


class RefusedTokens:
    """Counts every refusal, and logs each kind once a minute with the number of refusals since."""

    def __init__(self, count: Callable[[str], None] | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._now = now
        self._logged_at: dict[TokenCheck, float] = {}
        self._unlogged: dict[TokenCheck, int] = {}

    def note(self, refused: TokenRefusedError) -> None:
        check, now = refused.check, self._now()
        if self._count is not None:
            self._count(check)
        if now - self._logged_at.get(check, float("-inf")) < _LOGGED_EVERY_S:
            self._unlogged[check] = self._unlogged.get(check, 0) + 1
            return
        self._logged_at[check] = now
        _log.warning("token_refused", check=check.value, reason=str(refused), others=self._unlogged.pop(check, 0))


def shown(value: Any) -> str:
    """Renders a token's value for the log: short and in one line."""
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
