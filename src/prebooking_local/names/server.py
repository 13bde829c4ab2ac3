"""The name server on a socket, beside a test or a benchmark in one event loop."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Any, cast

from prebooking_local.names import message
from prebooking_local.names.message import A, Question

_CODES = {"ok": message.NO_ERROR, "nxdomain": message.NXDOMAIN, "servfail": message.SERVFAIL}


@dataclass(slots=True)
class Zone:
    """What is answered for a name. `addresses`: of the first look-up, of the second, …; the last ones stay."""

    addresses: Sequence[Sequence[str]] = ((),)
    code: str = "ok"  #: or nxdomain, servfail
    after_s: float = 0
    silent: bool = False
    ttl_s: int = 300
    asked: int = 0  #: how often its IPv4 addresses were asked for, with which each look-up begins

    def take(self, question: Question) -> Sequence[str]:
        if question.kind == A:
            self.asked += 1
        return self.addresses[min(max(self.asked, 1), len(self.addresses)) - 1]


@dataclass(slots=True)
class NameServer:
    """`zones` by name or pattern, such as `*.silent.test`; what none of them meets does not exist."""

    address: str
    zones: dict[str, Zone] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)  #: the names asked for, once for each kind of address

    def put(self, name: str, *addresses: Sequence[str], **more: Any) -> Zone:
        zone = self.zones[name] = Zone(addresses or ((),), **more)
        return zone

    def zone(self, name: str) -> Zone:
        return next((zone for pattern, zone in self.zones.items() if fnmatchcase(name, pattern)), Zone(code="nxdomain"))


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.server = NameServer("")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        try:
            question = message.read(data)
        except ValueError:
            return
        self.server.questions.append(question.name)
        zone = self.server.zone(question.name)
        addresses = [ip_address(address) for address in zone.take(question)]
        if not zone.silent:
            reply = message.answer(question, _CODES[zone.code], addresses, zone.ttl_s)
            asyncio.get_running_loop().call_later(zone.after_s, self._send, reply, addr)

    def _send(self, reply: bytes, to: Any) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(reply, to)


@asynccontextmanager
async def name_server(port: int = 0, *, host: str = "127.0.0.1") -> AsyncIterator[NameServer]:
    """Serves in the running loop, at `address`, which is `host:port`."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(_Protocol, local_addr=(host, port))
    protocol.server.address = "{}:{}".format(*transport.get_extra_info("sockname")[:2])
    try:
        yield protocol.server
    finally:
        transport.close()
