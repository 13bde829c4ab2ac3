"""All connections of a process: their number is bounded, and so are the bytes that they buffer together.

A connection that waits for its peer can be evicted, the longest wait first: of the unauthenticated ones, then of those
on which a request has been authenticated. A connection whose request is being answered is never evicted.
"""

from typing import Protocol


class Connection(Protocol):
    """A connection, by the attributes that this table uses."""

    buffered: int  #: bytes in memory, received or not yet sent
    authenticated: bool  #: whether a request on it has been authenticated

    def evict(self) -> None:
        """Drops the connection at once."""
        ...


class ConnectionTable:
    def __init__(self, *, most: int, most_buffered: int) -> None:
        self.most = most
        self.most_buffered = most_buffered
        self.evicted = 0  #: so far
        self._all: set[Connection] = set()
        # Dicts, for their order: the connection that has waited for the longest is the first.
        self._unauthenticated: dict[Connection, None] = {}
        self._authenticated: dict[Connection, None] = {}
        self._buffered = 0

    @property
    def buffered(self) -> int:
        """The number of bytes that all connections have in memory."""
        return self._buffered

    def add(self, connection: Connection) -> None:
        """Adds a new connection, which waits for its peer. At the limit another one is evicted for it."""
        if len(self._all) >= self.most:
            self._evict(needs_bytes=False)
        self._all.add(connection)
        self.waits(connection)

    def remove(self, connection: Connection) -> None:
        self._buffered -= connection.buffered
        connection.buffered = 0
        self._all.discard(connection)
        self.works(connection)

    def waits(self, connection: Connection) -> None:
        """Marks a connection as waiting for its peer. One that waits already keeps its position."""
        is_waiting = connection in self._unauthenticated or connection in self._authenticated
        if connection in self._all and not is_waiting:
            (self._authenticated if connection.authenticated else self._unauthenticated)[connection] = None

    def works(self, connection: Connection) -> None:
        """Marks a connection as working: its request is being answered."""
        self._unauthenticated.pop(connection, None)
        self._authenticated.pop(connection, None)

    def note_buffered(self, connection: Connection, buffered: int) -> None:
        """Updates how many bytes a connection has in memory.

        Above the limit of all, connections with some are evicted.
        """
        if connection not in self._all:
            return
        self._buffered += buffered - connection.buffered
        connection.buffered = buffered
        while self._buffered > self.most_buffered and self._evict(needs_bytes=True):
            pass

    def _evict(self, *, needs_bytes: bool) -> bool:
        """Returns whether there was a connection to evict."""
        for waiting in (self._unauthenticated, self._authenticated):
            for connection in waiting:
                if connection.buffered or not needs_bytes:
                    self.remove(connection)
                    self.evicted += 1
                    connection.evict()
                    return True
        return False
