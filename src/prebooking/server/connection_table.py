"""What all connections of a process share: so many of them, so many bytes, and no more.

Whoever waits for its peer can be evicted, the longest wait first: of strangers, then of those whose peer has once
authenticated. A connection whose request is being answered is never evicted.
"""

from typing import Protocol


class Connection(Protocol):
    """One that waits for its peer, as far as this table has to know it."""

    held: int  #: bytes that it keeps in memory, received or not yet sent
    known: bool  #: whether a request on it has been authenticated

    def evict(self) -> None:
        """Drops the connection at once."""
        ...


class ConnectionTable:
    def __init__(self, *, most: int, most_held: int) -> None:
        self.most = most
        self.most_held = most_held
        self.evicted = 0  #: so far
        self._all: set[Connection] = set()
        # Dicts, for their order: who waits for the longest is the first.
        self._strangers: dict[Connection, None] = {}
        self._known: dict[Connection, None] = {}
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes that all connections together keep in memory."""
        return self._held

    def add(self, connection: Connection) -> None:
        """Takes in a new connection, which waits; another is evicted for it where there is no room."""
        if len(self._all) >= self.most:
            self._evict(needs_bytes=False)
        self._all.add(connection)
        self.waits(connection)

    def remove(self, connection: Connection) -> None:
        self._held -= connection.held
        connection.held = 0
        self._all.discard(connection)
        self.works(connection)

    def waits(self, connection: Connection) -> None:
        """Its peer has to send or to read. Waiting already, it keeps its place."""
        if connection not in self._strangers and connection not in self._known and connection in self._all:
            (self._known if connection.known else self._strangers)[connection] = None

    def works(self, connection: Connection) -> None:
        """Its request has arrived, and is being answered."""
        self._strangers.pop(connection, None)
        self._known.pop(connection, None)

    def hold(self, connection: Connection, held: int) -> None:
        """Notes how many bytes it keeps now; beyond what all may, those who keep some are evicted."""
        if connection not in self._all:
            return
        self._held += held - connection.held
        connection.held = held
        while self._held > self.most_held and self._evict(needs_bytes=True):
            pass

    def _evict(self, *, needs_bytes: bool) -> bool:
        """Whether there was one to evict."""
        for waiting in (self._strangers, self._known):
            for connection in waiting:
                if connection.held or not needs_bytes:
                    self.remove(connection)
                    self.evicted += 1
                    connection.evict()
                    return True
        return False
