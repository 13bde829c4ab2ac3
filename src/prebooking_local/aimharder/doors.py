"""The listening socket, which the fault `refuse` closes and its end opens again, on the same port."""

import asyncio
import socket
from itertools import count

from prebooking_local.aimharder.desk import FrontDesk
from prebooking_local.aimharder.faults import Faults
from prebooking_local.aimharder.idling import Idling
from prebooking_local.aimharder.moments import Clock
from prebooking_local.aimharder.protocol import Connection
from prebooking_local.serving import listen, url_of


class Doors:
    def __init__(self, faults: Faults, desk: FrontDesk, clock: Clock) -> None:
        self.url = ""
        self._faults = faults
        self._desk = desk
        self._clock = clock
        self._idling = Idling(faults, desk)
        self._numbers = count(1)
        self._address = ("", 0)
        self._server: asyncio.Server | None = None
        self._reopening: asyncio.Task[None] | None = None
        self._timed: set[int] = set()

    async def open(self, host: str, port: int) -> None:
        sock = listen(host, port)
        self.url = url_of(sock)
        self._address = sock.getsockname()[:2]
        self._faults.on_change = self._follow_faults
        self._server = await self._serve(sock)

    async def close(self) -> None:
        self._faults.on_change = lambda: None
        self._idling.stop()
        if self._reopening is not None:
            await self._reopening
        if self._server is not None:
            self._server.close()
        for connection in list(self._desk.connections):
            connection.reset()
        await self._desk.deserted.wait()

    async def _serve(self, sock: socket.socket) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: Connection(next(self._numbers), self._desk, self._clock), sock=sock, backlog=4096
        )

    def _follow_faults(self) -> None:
        """Listens to the port again before it returns: whoever lifted the fault may connect at once."""
        self._idling.follow_faults()
        refusing = {number: fault for number, fault in self._faults.active.items() if fault.kind == "refuse"}
        for number in refusing.keys() - self._timed:
            self._timed.add(number)
            if refusing[number].seconds > 0:
                loop = asyncio.get_running_loop()
                loop.call_later(refusing[number].seconds, self._faults.clear, number)
        if refusing and self._server is not None:
            self._server.close()
            self._server = None
        elif not refusing and self._server is None and self._reopening is None:
            self._reopening = asyncio.create_task(self._reopen(listen(*self._address)))

    async def _reopen(self, sock: socket.socket) -> None:
        self._server = await self._serve(sock)
        self._reopening = None
        self._follow_faults()
