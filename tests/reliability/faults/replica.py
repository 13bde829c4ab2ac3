"""A replica of the service as a process that can be killed: the real one, with failpoints before the outside.

Forked from a process that has imported everything, so that a start costs a tenth of a second, not a second.
"""

import asyncio
import multiprocessing
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import uvicorn
from tests.reliability.faults.failpoints import Action, Armed, Failpoints, Rotating
from tests.reliability.faults.signalled import Signalled
from tests.support.named_gym import resolver

from prebooking.main import create_app

_FORKS = multiprocessing.get_context("forkserver")
# Also what the programs of this folder import: each child imports its main module once more.
_FORKS.set_forkserver_preload(
    [
        *(
            "tests.reliability.faults.replica",
            "prebooking.main",
            "prebooking_local.stack",
            "prebooking.adapters.migrations",
            "rich.progress",
        ),
        *("uvicorn.lifespan.on", "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto"),
        "anyio._backends._asyncio",
    ]
)
_GRACE_S = 10
_WITHIN_S = 60.0
_DISARM = "disarm"
_LOOK_S = 0.02
_QUIET_S = 0.3  # a process that was stopped must find first what came meanwhile


class Replica(Signalled):
    """One process. Replicas of one port share it: the kernel hands each connection to one of them."""

    def __init__(self, port: int, environment: Mapping[str, str]) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._pipe, theirs = _FORKS.Pipe()
        self._triggered: list[Armed] = []
        self._rotating: list[Rotating] = []
        self._acknowledgements = self._awaited = 0
        self._process = _FORKS.Process(target=_serve, args=(port, dict(environment), theirs), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    async def ready(self) -> None:
        """Returns once it serves: it says so itself, since others may answer on its port."""
        await self._acknowledged()

    async def arm(self, point: str, action: Action, nth: int = 1) -> None:
        """Returns once it is armed."""
        self._pipe.send(Armed(point, action, nth))
        await self._acknowledged()

    async def disarm(self) -> None:
        """Returns once no point is armed any more."""
        self._pipe.send(_DISARM)
        await self._acknowledged()

    async def idle(self) -> None:
        """Returns once nothing is under way in it: no request, no execution."""
        self._pipe.send(None)
        await self._acknowledged()

    async def triggered(self, point: str, action: Action, times: int = 1) -> None:
        """Returns once it was triggered so often. Raises RuntimeError when it no longer can be."""
        while True:
            dead = not self.alive  # before the look, or its last word could be missed
            if sum((armed.point, armed.action) == (point, action) for armed in self.triggered_faults()) >= times:
                return
            if dead:
                raise RuntimeError("the replica has ended: what it said stands above")
            await asyncio.sleep(0.01)

    def triggered_faults(self) -> list[Armed]:
        """Returns all faults triggered so far."""
        with suppress(EOFError, ConnectionResetError):
            while self._pipe.poll():
                said = self._pipe.recv()
                if said is None:
                    self._acknowledgements += 1
                elif isinstance(said, Rotating):
                    self._rotating.append(said)
                else:
                    self._triggered.append(said)
        return self._triggered

    def rotations(self) -> list[Rotating]:
        """All tokens that it has asked the gym to rotate."""
        self.triggered_faults()
        return self._rotating

    async def _acknowledged(self) -> None:
        self._awaited += 1
        wanted = self._awaited  # also those that somebody else has given up waiting for
        async with asyncio.timeout(_WITHIN_S):
            while self._acknowledgements < wanted:
                if not self.alive:
                    raise RuntimeError("the replica has ended: what it said stands above")
                await asyncio.sleep(0.002)
                self.triggered_faults()

    async def gone(self) -> None:
        while self.alive:
            await asyncio.sleep(0.01)
        self._process.join()


def _serve(port: int, environment: Mapping[str, str], pipe: "Connection[Any, Any]") -> None:
    os.environ.update(environment)
    os.chdir("/")  # away from a .env, which may name the real systems
    failpoints = Failpoints(pipe.send)
    sock = socket.socket(proto=socket.IPPROTO_TCP)  # asyncio switches Nagle's delay off only where it is named
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    config = uvicorn.Config(
        create_app(failpoints.around, resolver()),
        loop="asyncio",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = uvicorn.Server(config)
    asyncio.run(_served(server, sock, _Commands(server, failpoints, pipe)))


async def _served(server: uvicorn.Server, sock: socket.socket, commands: "_Commands") -> None:
    opening = asyncio.create_task(commands.open())
    await server.serve(sockets=[sock])
    await opening


class _Commands:
    """Carries out what the pipe brings, and answers each when it is done."""

    def __init__(self, server: uvicorn.Server, failpoints: Failpoints, pipe: "Connection[Any, Any]") -> None:
        self._server = server
        self._failpoints = failpoints
        self._pipe = pipe
        self._at_rest = 0  # how many tasks there are when nothing is under way
        self._waiting: asyncio.Task[None] | None = None

    async def open(self) -> None:
        while not self._server.started:
            await asyncio.sleep(0.005)
        self._at_rest = len(asyncio.all_tasks()) - 1
        self._pipe.send(None)
        threading.Thread(target=self._listen, args=(asyncio.get_running_loop(),), daemon=True).start()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while True:
                loop.call_soon_threadsafe(self._carry_out, self._pipe.recv())
        except (EOFError, OSError):  # whoever started us is gone
            os._exit(1)

    def _carry_out(self, said: Armed | str | None) -> None:
        if said is None:
            self._waiting = asyncio.create_task(self._until_idle())
        elif isinstance(said, str):
            self._failpoints.disarm()
            self._pipe.send(None)
        else:
            self._failpoints.arm(said)
            self._pipe.send(None)

    async def _until_idle(self) -> None:
        quiet_s = 0.0
        while quiet_s < _QUIET_S:
            await asyncio.sleep(_LOOK_S)
            quiet_s = quiet_s + _LOOK_S if len(asyncio.all_tasks()) - 1 <= self._at_rest else 0.0
        self._pipe.send(None)
