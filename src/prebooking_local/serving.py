"""Runs one stand-in, inside a test's event loop or as a process of its own."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import uvicorn


class PortBusyError(RuntimeError):
    """Another program listens on the port that was asked for."""


class Serving(Protocol):
    """A running stand-in."""

    @property
    def url(self) -> str: ...


def listen(host: str, port: int) -> socket.socket:
    """Returns a listening socket; port 0 takes a free one. Raises PortBusyError, which says what to do."""
    # asyncio switches Nagle's delay off only where the protocol is named; it costs 40 ms an answer.
    sock = socket.socket(proto=socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as exc:
        sock.close()
        raise PortBusyError(
            f"port {port} on {host} is taken: stop the program that uses it, or choose another port"
        ) from exc
    sock.listen(4096)
    sock.setblocking(False)
    return sock


def free_port(among: Iterable[int] = (0,)) -> int:
    """Returns the first of these ports on which nobody listens; 0 stands for any. Raises PortBusyError."""
    for port in among:
        with contextlib.suppress(PortBusyError), listen("127.0.0.1", port) as sock:
            return int(sock.getsockname()[1])
    raise PortBusyError("found no free port")


def url_of(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Leaves the process's signals to its owner, who stops it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve_asgi(app: Any, *, host: str, port: int) -> AsyncIterator[str]:
    """Serves an ASGI app with uvicorn in the running loop; yields its base URL."""
    sock = listen(host, port)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0.005)
        yield url_of(sock)
    finally:
        server.should_exit = True
        await task
        sock.close()


async def _until_stopped() -> None:
    """Returns at a signal, or once the starting process, which holds our standard input open, is gone."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for sig in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sig, stop.set)
    if not sys.stdin.isatty():
        with contextlib.suppress(PermissionError):  # /dev/null can't be watched, and nobody holds it open
            loop.add_reader(sys.stdin, lambda: None if os.read(sys.stdin.fileno(), 64) else stop.set())
    await stop.wait()


def run(stand_in: AbstractAsyncContextManager[Serving]) -> None:
    """Runs a stand-in as this process: prints its URL as a JSON line, ends on a signal or on end of input."""

    async def main() -> None:
        async with stand_in as running:
            sys.stdout.write(json.dumps({"url": running.url}) + "\n")
            sys.stdout.flush()
            await _until_stopped()

    try:
        asyncio.run(main())
    except PortBusyError as exc:
        sys.exit(f"error: {exc}")
