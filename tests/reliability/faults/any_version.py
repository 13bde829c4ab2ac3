"""A replica of any version of the service, as a process of its own on a shared port. It has no failpoints."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping

from tests.reliability.faults.failpoints import Action, Armed, Rotating
from tests.reliability.faults.signalled import Signalled

_WITHIN_S = 60.0
_SERVE = """
import asyncio, os, signal, socket, sys, uvicorn
from prebooking.main import create_app
sock = socket.socket(proto=socket.IPPROTO_TCP)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
sock.bind(("127.0.0.1", int(sys.argv[1])))
config = uvicorn.Config(
    create_app(), loop="asyncio", log_config=None, access_log=False, timeout_graceful_shutdown=int(sys.argv[2]))
server = uvicorn.Server(config)
async def main():
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await serving
asyncio.run(main())
"""


class AnyVersion(Signalled):
    """`source`: the folder with its `prebooking`. It answers as replica.Replica does."""

    def __init__(self, port: int, environment: Mapping[str, str], source: str, *, grace_s: int = 10) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(port), str(grace_s)],
            env=os.environ | dict(environment) | {"PYTHONPATH": source},
            cwd="/",  # away from a .env, which may name the real systems
            stdout=subprocess.PIPE,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    async def ready(self) -> None:
        """Returns once it serves. Raises RuntimeError when it can't."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_WITHIN_S):
            line = await asyncio.to_thread(self._process.stdout.readline)
        if not line:
            raise RuntimeError("the replica has ended: what it said stands above")

    async def disarm(self) -> None:
        """It has no points."""

    async def arm(self, point: str, action: Action, nth: int = 1) -> None:
        raise RuntimeError(f"no {point} to {action} here, the {nth}th time or ever")

    def triggered_faults(self) -> list[Armed]:
        return []

    def rotations(self) -> list[Rotating]:
        return []

    async def gone(self) -> None:
        while self.alive:
            await asyncio.sleep(0.01)
        if self._process.stdout:
            self._process.stdout.close()
