"""Sends changed rows to users' open pages, whoever has changed them.

Each replica has one reader of the database, while there are listeners. It reads only the listeners' rows, page by page:
a thousand rows in one piece would delay openings.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import structlog

from prebooking.domain.errors import CursorUnknownError, StoreUnavailableError
from prebooking.domain.ports import Clock, EventStore
from prebooking.domain.prebooking import Prebooking
from prebooking.usecases.booking.gate import Gate

_log = structlog.get_logger()

_EVERY_S = 0.15
_DATABASE_PAUSE_S = 1.0
_MOST_LISTENERS = 1000
_MOST_OF_ONE_USER = 20  # tabs and devices
_MOST_WAITING = 100  # unsent changes after which a listener is disconnected
_MOST_MISSED = 100  # changed rows that a page gets when it reconnects; above that it has to list all again
_PAGE = 25  # rows: about 2 ms to parse and to send


class TooManyListenersError(Exception):
    """The replica, or the user, has the maximum number of listeners."""


@dataclass(frozen=True, slots=True)
class Change:
    """A changed row, and the cursor after it. `prebooking` None: too many rows have changed to send each."""

    cursor: str
    prebooking: Prebooking | None


class Listener:
    """The changes for one open page, from `cursor` on."""

    def __init__(self, cursor: str) -> None:
        self.cursor = (
            cursor  #: after all changes that were returned; it also advances while none of the user's rows change
        )
        self.too_slow = asyncio.Event()
        self.stopping = False
        self._cursor = cursor
        self._missed: deque[Change] = deque()
        self._waiting: deque[Change] = deque()
        self._news = asyncio.Event()

    async def next(self) -> Change | None:
        """Returns the next change, or None at the end."""
        while not (self._missed or self._waiting):
            if self.stopping:
                return None
            await self._news.wait()
            self._news.clear()
        change = (self._missed or self._waiting).popleft()
        self.cursor = change.cursor
        return change

    def push(self, cursor: str | None, rows: Sequence[Prebooking]) -> None:
        """Adds the rows that have changed up to the cursor; None: more of them follow."""
        if len(self._waiting) + len(rows) > _MOST_WAITING:
            self.too_slow.set()
            return
        self._waiting.extend(Change(self._cursor, row) for row in rows)
        if cursor is not None:
            self._cursor = cursor
            if self._waiting:  # only after the last one the reading can be resumed here
                self._waiting[-1] = replace(self._waiting[-1], cursor=cursor)
            elif not self._missed:
                self.cursor = cursor
        if rows:
            self._news.set()

    def catch_up(self, since: str, until: str, rows: Sequence[Prebooking] | None) -> None:
        """Adds the rows that changed before the others; None: too many."""
        if rows is None:
            self._missed.append(Change(until, None))
        elif rows:
            self._missed.extend(Change(until if row is rows[-1] else since, row) for row in rows)
        else:
            return
        self.cursor = since
        self._news.set()

    def stop(self) -> None:
        self.stopping = True
        self._news.set()


class EventBroadcaster:
    def __init__(self, store: EventStore, gate: Gate, clock: Clock) -> None:
        self._store = store
        self._gate = gate
        self._clock = clock
        self._taken: Counter[str] = Counter()  #: the number of listeners by user
        self._listeners: dict[str, set[Listener]] = {}
        self._reading = asyncio.Lock()  # while it is unlocked, no rows are being distributed
        self._cursor: str | None = None
        self._reader: asyncio.Task[None] | None = None
        self._stopping = False

    @asynccontextmanager
    async def listen(self, user_email: str, since: str | None) -> AsyncIterator[Listener]:
        """Adds a listener from the cursor `since`, else from now.

        Raises TooManyListenersError, CursorUnknownError, and as the store.
        """
        with self._place(user_email):
            listener = await self._join(user_email)
            try:
                if since is not None:
                    listener.catch_up(since, listener.cursor, await self._missed(user_email, since, listener.cursor))
                if self._stopping:
                    listener.stop()
                yield listener
            finally:
                await self._forget(user_email, listener)

    @contextmanager
    def _place(self, user_email: str) -> Iterator[None]:
        """Counts the listener before anything is awaited, so that the limit is exact. Raises TooManyListenersError."""
        if self._taken.total() >= _MOST_LISTENERS or self._taken[user_email] >= _MOST_OF_ONE_USER:
            raise TooManyListenersError
        self._taken[user_email] += 1
        try:
            yield
        finally:
            self._taken[user_email] -= 1
            if not self._taken[user_email]:
                del self._taken[user_email]

    async def _join(self, user_email: str) -> Listener:
        async with self._reading:
            if self._cursor is None:
                self._cursor = (await self._store.read_changes(None, limit=1)).cursor
            listener = Listener(self._cursor)
            self._listeners.setdefault(user_email, set()).add(listener)
            if self._reader is None:
                self._reader = asyncio.create_task(self._read_on())
        return listener

    async def _missed(self, user_email: str, since: str, until: str) -> Sequence[Prebooking] | None:
        """Returns the user's rows that changed between the cursors; None: too many."""
        rows: list[Prebooking] = []
        page = None
        while True:
            await self._gate.quiet()
            found = await self._store.read_changes(
                since, until=until, user_emails=[user_email], after=page, limit=_PAGE
            )
            rows += found.prebookings
            page = found.next_page
            if page is None and len(rows) <= _MOST_MISSED:
                return rows
            if page is None or len(rows) >= _MOST_MISSED:
                return None

    def stop(self) -> None:
        """Ends all listeners, also later ones: their pages reconnect to another replica."""
        self._stopping = True
        self._end_all()

    def _end_all(self) -> None:
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.stop()

    async def _forget(self, user_email: str, listener: Listener) -> None:
        listeners = self._listeners[user_email]
        listeners.discard(listener)
        if not listeners:
            del self._listeners[user_email]
        if not self._listeners and self._reader is not None:
            reader, self._reader, self._cursor = self._reader, None, None
            reader.cancel()
            await asyncio.wait({reader})

    async def _read_on(self) -> None:
        while True:
            await self._clock.sleep(_EVERY_S)
            await self._gate.quiet()
            try:
                async with self._reading:
                    await self._read()
            except StoreUnavailableError as exc:
                _log.warning("changes_not_read", reason=str(exc))  # nothing is missed, as the cursor stays
                await self._clock.sleep(_DATABASE_PAUSE_S)
            except CursorUnknownError:  # the database was replaced: the pages have to list all rows again
                self._end_all()
            except Exception:  # noqa: BLE001  # a bug in one reading must not end the reader
                _log.exception("changes_not_read")
                await self._clock.sleep(_DATABASE_PAUSE_S)

    async def _read(self) -> None:
        since, until, page = self._cursor, None, None
        while True:
            emails = list(self._listeners)
            found = await self._store.read_changes(since, until=until, user_emails=emails, after=page, limit=_PAGE)
            until, page = until or found.cursor, found.next_page
            self._push(None if page else until, found.prebookings)
            if page is None:
                self._cursor = until
                return
            await self._gate.quiet()

    def _push(self, cursor: str | None, changed: Sequence[Prebooking]) -> None:
        rows: dict[str, list[Prebooking]] = {}
        for row in changed:
            rows.setdefault(row.user_email.lower(), []).append(row)
        for email, listeners in self._listeners.items():
            for listener in listeners:
                listener.push(cursor, rows.get(email, ()))
