"""What a proxy answers to CONNECT: after it, all bytes are between the host and us."""

import asyncio
import re

import httpx

_LARGEST = 64 * 1024
_END = b"\r\n\r\n"
_ACCEPTED = re.compile(rb"HTTP/1\.[01] 2[0-9][0-9][ \r]")
_LONGEST_SHOWN = 100


class TunnelAnswer(asyncio.Protocol):
    """The protocol of the connection until it is accepted."""

    def __init__(self) -> None:
        self._received = b""
        self._head: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def accepted(self) -> None:
        """Returns once the proxy has accepted. Raises httpx.ProxyError."""
        head = await self._head
        if not _ACCEPTED.match(head):
            raise httpx.ProxyError(head[:_LONGEST_SHOWN].partition(b"\r")[0].decode("latin-1"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._head.done() and (_END in self._received or len(self._received) > _LARGEST):
            self._head.set_result(self._received)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        if not self._head.done():
            self._head.set_result(self._received or b"the proxy closed the connection")
