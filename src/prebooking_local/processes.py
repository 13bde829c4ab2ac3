"""The stack's processes: each ends when its standard input closes, so nothing outlives whoever started it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

START_S = 30.0
_STOP_S = 15.0


class StartFailedError(RuntimeError):
    """A part of the stack did not come up; the text says which and why."""


@asynccontextmanager
async def stand_in(
    processes: dict[str, asyncio.subprocess.Process], name: str, folder: str, *arguments: str, **environment: str
) -> AsyncIterator[str]:
    """Starts a stand-in as a process. Yields its URL."""
    command = ["-m", f"prebooking_local.{name}", *arguments]
    process = await spawn(command, folder, environment, stdout=asyncio.subprocess.PIPE)
    processes[name] = process
    try:
        assert process.stdout
        async with asyncio.timeout(START_S):
            line = await process.stdout.readline()
        if not line:
            raise StartFailedError(f"{name} did not start: what it said stands above")
        yield json.loads(line)["url"]
    finally:
        await stop(process)


async def migrate(folder: str, database_url: str) -> None:
    command = ["-m", "prebooking", "migrate"]
    process = await spawn(command, folder, {"DATABASE_URL": database_url}, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    if process.returncode:
        raise StartFailedError(f"the database could not be migrated: {said.decode()}")


async def spawn(
    command: Sequence[str], folder: str, environment: Mapping[str, str], *, stdout: int | None
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=stdout,
        env=os.environ | environment,
        cwd=folder,  # away from a .env, which may name the real systems
        start_new_session=True,  # Ctrl-C is the stack's, which ends its parts in order
    )


async def stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
