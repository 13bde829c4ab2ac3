"""What a connection may cost before it is a request: uvicorn itself waits for ever, and reads heads of any size.

A request's body is limited where it is read (requests.py); what still comes of it after the answer is discarded here.
"""

import asyncio
import json
import resource
import secrets
import struct
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from prebooking.web.problems import Problem

ABORT = "prebooking.abort"  # an extension of the ASGI scope: drops the connection, sent or not
LARGEST_HEAD = 32 * 1024  # what arrives in one piece with its end may be more: as much as asyncio reads at once
SLOWEST_HEAD_S = 10.0
_REFUSAL = Problem(431, f"The head of the request is larger than {LARGEST_HEAD} bytes.")


class BoundedConnection(HttpToolsProtocol):
    """Closes what does not become a request in time, or never ends its head."""

    _patience: asyncio.TimerHandle | None = None
    _head_size: int | None = None  # None: no head is under way

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._head_size is not None:
            self._head_size += len(data)
            if self._head_size > LARGEST_HEAD:
                self._refuse()
                return
        cycle: RequestResponseCycle | None = self.cycle  # None before the first
        if cycle is None or cycle.response_complete:
            self._wait()  # it has switched uvicorn's own limit for idle connections off

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._head_size = 0
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"abort": self._drop}}

    def on_headers_complete(self) -> None:
        self._head_size = None
        self._stop_waiting()
        super().on_headers_complete()

    def _drop(self) -> None:
        """A peer that reads nothing can't be told so; an ordinary close would leave what it doesn't read in the kernel,
        which offers it for minutes.
        """
        self.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(SLOWEST_HEAD_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _refuse(self) -> None:
        request_id = secrets.token_hex(8)
        body = json.dumps(_REFUSAL.details("", request_id)).encode()  # what was asked for is not known yet
        head = (
            "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\nx-request-id: {request_id}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def raise_open_files() -> None:
    """Hosts give 1,024 by default and allow more; each held delivery takes two, its own and the one to the gym."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * LIMITS["limit_concurrency"] + 1000
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


#: For uvicorn.run. Held deliveries (1,000 and more), their senders' idle connections and the users' all count.
LIMITS: dict[str, Any] = {
    "http": BoundedConnection,
    "ws": "none",
    "limit_concurrency": 3000,
    "timeout_keep_alive": 75,  # longer than the 60 s of usual proxies: theirs is the one to close, never mid-request
}
