"""Tells users' pages what changes, by following the database: whichever replica, or hand, wrote it.

One reader a replica, only while somebody listens; it asks for the listeners' rows alone.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from prebooking.domain.changes import ChangeStore
from prebooking.domain.errors import CursorUnknownError, StoreUnavailableError
from prebooking.domain.ports import Clock
from prebooking.domain.prebooking import Prebooking
from prebooking.usecases.gate import Gate

_log = structlog.get_logger()

_EVERY_S = 0.15
_DATABASE_PAUSE_S = 1.0
_MOST_LISTENERS = 1000
_MOST_OF_ONE_USER = 20  # tabs and devices
_MOST_WAITING = 100  # changes that a listener may leave lying before it is cut off


class TooManyListenersError(Exception):
    """The replica has no room for one more, or the user has theirs."""


@dataclass(frozen=True, slots=True)
class Change:
    """A row as it is now, and the cursor to go on from after it."""

    cursor: str
    prebooking: Prebooking


class Listener:
    """One page's share of the feed, from `cursor` on."""

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor  #: of all that was handed out; it moves on also while nothing of the user's changes
        self.too_slow = asyncio.Event()
        self.stopping = False
        self._told = cursor
        self._missed: deque[Change] = deque()
        self._waiting: deque[Change] = deque()
        self._news = asyncio.Event()

    async def next(self) -> Change | None:
        """The next change; None when there are no more to come from here."""
        while not (self._missed or self._waiting):
            if self.stopping:
                return None
            await self._news.wait()
            self._news.clear()
        change = (self._missed or self._waiting).popleft()
        self.cursor = change.cursor
        return change

    def tell(self, cursor: str, rows: Sequence[Prebooking]) -> None:
        """What has changed up to the cursor."""
        before, self._told = self._told, cursor
        if not rows:
            if not (self._missed or self._waiting):
                self.cursor = cursor
            return
        if len(self._waiting) + len(rows) > _MOST_WAITING:
            self.too_slow.set()
            return
        self._waiting.extend(_changes(before, cursor, rows))
        self._news.set()

    def catch_up(self, since: str, until: str, rows: Sequence[Prebooking]) -> None:
        """What changed before all that it is told. However much: it is the user's own."""
        if rows:
            self.cursor = since
        self._missed.extend(_changes(since, until, rows))
        self._news.set()

    def stop(self) -> None:
        self.stopping = True
        self._news.set()


def _changes(since: str, until: str, rows: Sequence[Prebooking]) -> list[Change]:
    """Only after the last of them may one go on from `until`."""
    return [Change(until if row is rows[-1] else since, row) for row in rows]


class ChangeFeed:
    def __init__(self, store: ChangeStore, gate: Gate, clock: Clock) -> None:
        self._store = store
        self._gate = gate
        self._clock = clock
        self._listeners: dict[str, set[Listener]] = {}
        self._reading = asyncio.Lock()  # while it is free, no listener's row is on its way
        self._cursor: str | None = None
        self._reader: asyncio.Task[None] | None = None
        self._stopping = False

    @asynccontextmanager
    async def listen(self, user_email: str, since: str | None) -> AsyncIterator[Listener]:
        """From the cursor `since`, else from now. Raises TooManyListenersError, CursorUnknownError and what the store
        raises.
        """
        own = self._listeners.get(user_email, ())
        if sum(map(len, self._listeners.values())) >= _MOST_LISTENERS or len(own) >= _MOST_OF_ONE_USER:
            raise TooManyListenersError
        async with self._reading:
            if self._cursor is None:
                self._cursor = (await self._store.read_changes(None)).cursor
            listener = Listener(self._cursor)
            self._listeners.setdefault(user_email, set()).add(listener)
            if self._reader is None:
                self._reader = asyncio.create_task(self._read_on())
        try:
            if since is not None:
                until = listener.cursor
                missed = await self._store.read_changes(since, until=until, user_emails=[user_email])
                listener.catch_up(since, until, missed.prebookings)
            if self._stopping:
                listener.stop()
            yield listener
        finally:
            await self._forget(user_email, listener)

    def stop(self) -> None:
        """All listeners hear the end, also those that are still to come: their pages go to another replica."""
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
                _log.warning("changes_not_read", reason=str(exc))  # nothing is missed: the cursor stays
                await self._clock.sleep(_DATABASE_PAUSE_S)
            except CursorUnknownError:  # the database was replaced: the pages have to look at it anew
                self._end_all()
            except Exception:  # noqa: BLE001  # an error of ours, in one reading; without a reader no page is live
                _log.exception("changes_not_read")
                await self._clock.sleep(_DATABASE_PAUSE_S)

    async def _read(self) -> None:
        found = await self._store.read_changes(self._cursor, user_emails=list(self._listeners))
        self._cursor = found.cursor
        rows: dict[str, list[Prebooking]] = {}
        for row in found.prebookings:
            rows.setdefault(row.user_email.lower(), []).append(row)
        for email, listeners in self._listeners.items():
            for listener in listeners:
                listener.tell(found.cursor, rows.get(email, ()))
