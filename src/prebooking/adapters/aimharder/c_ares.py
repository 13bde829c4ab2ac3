"""Resolves a host name with c-ares, in the event loop: a silent name server blocks no thread.

Each look-up has a channel of its own, which costs 0.1 ms: a shared channel caches answers for up to an hour, and
adapts its time-outs to the look-ups of other names.
"""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pycares

_TRY_S = 1.5  # a name server asks others first; the second try may take twice as long
_TRIES = 2
_TICK_S = 0.5
_FLAGS = pycares.ARES_FLAG_EDNS | pycares.ARES_FLAG_NOSEARCH  # a gym's name is complete: no search domain is appended


class UnresolvedError(OSError):
    """A name has no address, by the answers of the name servers."""


@dataclass(frozen=True, slots=True)
class Found:
    """The addresses of a name, and for how long they are valid."""

    addresses: tuple[str, ...]
    ttl_s: float


async def look_up(host: str, servers: Sequence[str] = ()) -> Found:
    """Returns all addresses of a name, IPv4 and IPv6, in the order in which to try them. Raises UnresolvedError.

    `servers`: `address:port` each; by default the system's, after its hosts file.
    """
    sys.audit("socket.getaddrinfo", host, None, 0, 0, 0)  # the audit event of Python's own look-up
    question = _Question(servers)
    try:
        return await question.ask(host)
    finally:
        question.close()


class _Question:
    def __init__(self, servers: Sequence[str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._reading: set[int] = set()
        self._writing: set[int] = set()
        self._answer: asyncio.Future[Found] = self._loop.create_future()
        self._channel = pycares.Channel(
            flags=_FLAGS, timeout=_TRY_S, tries=_TRIES, servers=servers or None, sock_state_cb=self._watch
        )

    async def ask(self, host: str) -> Found:
        try:
            self._channel.getaddrinfo(host, None, callback=partial(self._answered, host))
        except (pycares.AresError, ValueError) as exc:  # a name that cannot be one
            raise UnresolvedError(f"{host}: {exc}") from exc
        while not self._answer.done():
            await asyncio.wait((self._answer,), timeout=self._next_s())
            if not self._answer.done():
                self._channel.process_fd(pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)
        return self._answer.result()

    def close(self) -> None:
        self._answer.cancel()
        self._channel.cancel()  # here, so that the sockets are closed in this thread
        self._channel.close()

    def _next_s(self) -> float:
        """Returns the seconds until c-ares next has to check its time-outs."""
        return float(self._channel.timeout(_TICK_S))  # type: ignore[no-untyped-call]

    def _answered(self, host: str, result: Any, error: int | None) -> None:
        if self._answer.done():
            return
        if error is not None:
            self._answer.set_exception(UnresolvedError(f"{host}: {pycares.errno.errorcode.get(error, error)}"))
            return
        addresses = dict.fromkeys(node.addr[0].decode() for node in result.nodes)
        self._answer.set_result(Found(tuple(addresses), min((node.ttl for node in result.nodes), default=0)))

    def _watch(self, fd: int, readable: bool, writable: bool) -> None:  # noqa: FBT001  # c-ares' signature
        nothing = pycares.ARES_SOCKET_BAD
        if readable:
            self._loop.add_reader(fd, self._channel.process_fd, fd, nothing)
            self._reading.add(fd)
        elif fd in self._reading:
            self._loop.remove_reader(fd)
            self._reading.discard(fd)
        if writable:
            self._loop.add_writer(fd, self._channel.process_fd, nothing, fd)
            self._writing.add(fd)
        elif fd in self._writing:
            self._loop.remove_writer(fd)
            self._writing.discard(fd)
