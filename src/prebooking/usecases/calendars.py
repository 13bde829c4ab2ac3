"""Creates, removes and reads users' calendars. Anybody with its secret address can read a calendar."""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Callable

from prebooking.concurrency.rate_limit import RateLimiter
from prebooking.domain.errors import EmailTakenError, TooOftenError
from prebooking.domain.ports import CalendarFormat, CalendarStore, Clock
from prebooking.usecases.booking.gate import Gate

#: 160 bits, in hex.
SECRET = "^[0-9a-f]{40}$"  # noqa: S105  # its form
_BYTES = 20
_MADE_PER_MINUTE = 10  # by one user
_READ_PER_MINUTE = 12  # reads of one calendar
_GUESSED_PER_MINUTE = 120  # first reads of calendars, by all clients together
_KNOWN = 10_000


class Calendars:
    """The calendars. The limits are per replica.

    `load_format`: called when the first calendar is read; it may take a tenth of a second.
    """

    def __init__(
        self,
        store: CalendarStore,
        load_format: Callable[[], CalendarFormat],
        gate: Gate,
        clock: Clock,
        *,
        public_url: str,
    ) -> None:
        self._store = store
        self._load_format = load_format
        self._format: CalendarFormat | None = None
        self._gate = gate
        self._address = f"{public_url}/calendar/{{}}.ics"
        self._makers = RateLimiter(clock, most=_MADE_PER_MINUTE, per_s=60)
        self._readers = RateLimiter(clock, most=_READ_PER_MINUTE, per_s=60)
        self._guesses = RateLimiter(clock, most=_GUESSED_PER_MINUTE, per_s=60)
        self._known: dict[str, None] = {}  #: hashes of known calendars, the most recent last

    async def make(self, user_email: str, sub: str | None) -> str:
        """Creates the user's calendar, which replaces an earlier one, and returns its address. `sub`: see
        CalendarStore.

        Raises TooOftenError, EmailTakenError, and as the store.
        """
        _admit(self._makers, _MADE_PER_MINUTE, user_email)
        secret = secrets.token_hex(_BYTES)
        if not await self._store.make_calendar(user_email, _hash(secret), sub=sub):
            raise EmailTakenError(user_email)
        return self._address.format(secret)

    async def end(self, user_email: str) -> None:
        await self._store.end_calendar(user_email)

    async def read(self, secret: str) -> bytes | None:
        """Returns the file, or None if there is no such calendar. Raises TooOftenError, and as the store.

        The database is not called for a malformed secret.
        """
        if not re.fullmatch(SECRET, secret):
            return None
        secret_hash = _hash(secret)
        if secret_hash not in self._known:
            _admit(self._guesses, _GUESSED_PER_MINUTE, "")
        _admit(self._readers, _READ_PER_MINUTE, secret_hash)
        entries = await self._store.read_calendar(secret_hash)
        self._learn(secret_hash, found=entries is not None)
        if entries is None:
            return None
        if self._format is None:
            await self._gate.calm()
            self._format = self._load_format()
        parts = [self._format.head]
        for entry in entries:
            await asyncio.sleep(0)  # hundreds of events at once would delay an opening
            await self._gate.quiet()
            parts.append(self._format.event(entry))
        return b"".join([*parts, self._format.end])

    def _learn(self, secret_hash: str, *, found: bool) -> None:
        self._known.pop(secret_hash, None)
        if found:
            self._known[secret_hash] = None
        if len(self._known) > _KNOWN:
            del self._known[next(iter(self._known))]


def _admit(limiter: RateLimiter, most: int, key: str) -> None:
    if wait_s := limiter.admit(key):
        raise TooOftenError(most, wait_s)


def _hash(secret: str) -> str:
    """Hashes the secret, without salt and work factor: 160 random bits can't be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()
