"""What becomes of connections on which nothing happens: a server closes them, a middlebox forgets them."""

import asyncio

from prebooking_local.aimharder.desk import FrontDesk
from prebooking_local.aimharder.faults import IDLE, Fault, Faults
from prebooking_local.aimharder.protocol import Connection


class Idling:
    """Ends idle connections, as the faults `idle_timeout_s` and `idle_drop_s` have it, each at its own instant."""

    def __init__(self, faults: Faults, desk: FrontDesk) -> None:
        self._faults = faults
        self._desk = desk
        self._next: asyncio.TimerHandle | None = None

    def follow_faults(self) -> None:
        self.stop()
        active = [(number, fault) for number, fault in self._faults.active.items() if fault.kind in IDLE]
        if not active:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        wake = now + min(fault.seconds for _, fault in active)  # no connection yet to come is due before that
        for number, fault in active:
            for connection in list(self._desk.connections):
                if connection.busy or connection.waiting or connection.dropped or not _meets(fault, connection):
                    continue
                due = connection.idle_since + fault.seconds
                if due > now:
                    wake = min(wake, due)
                elif number in self._faults.active:
                    _end(fault, connection)
                    self._faults.count_down(number, fault)
        self._next = loop.call_at(wake, self.follow_faults)

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None


def _meets(fault: Fault, connection: Connection) -> bool:
    """Returns whether the last request that came on the connection is one of the fault's."""
    if connection.last is None:
        return (fault.path, fault.box, fault.member) == (None, None, None)
    return fault.matches(connection.last)


def _end(fault: Fault, connection: Connection) -> None:
    if fault.kind == "idle_timeout_s":
        connection.close()
    else:
        connection.drop()
