"""A machine that is suspended between begin and the gate, and wakes after its lease has ended.

Its replica is stopped, others go on with the row, and it is woken with its clocks as the suspend leaves them: a library
that is preloaded into it shifts what it reads of them, and the database's lease is aged by as much.
"""

import asyncio
import mmap
import shutil
import struct
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from tests.processes.one_wish import ANA, Wish, broken_promises, lateness_ms, until, wish

from prebooking_local.stack import Stack, service

_SUSPENDED_S = 60
_PATIENT = {"MAX_DURATION_SECONDS": "30"}  # so that only the suspend, and not a slow test, uses its time up
_COMPILER = shutil.which("gcc") or shutil.which("cc")

pytestmark = pytest.mark.skipif(_COMPILER is None, reason="no C compiler (Debian: apt install gcc)")


class Clocks:
    """Those of one process."""

    def __init__(self, folder: Path) -> None:
        library, shifts = folder / "shifted_clocks.so", folder / "shifts"
        source = Path(__file__).with_name("shifted_clocks.c")
        subprocess.run([str(_COMPILER), "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        shifts.write_bytes(bytes(24))
        self._shifts = shifts
        self.environment = {"LD_PRELOAD": str(library), "SHIFTED_CLOCKS": str(shifts)} | _PATIENT

    def shift(self, *, wall_s: float = 0, monotonic_s: float = 0, boottime_s: float = 0) -> None:
        nanoseconds = [round(seconds * 1e9) for seconds in (wall_s, monotonic_s, boottime_s)]
        with self._shifts.open("r+b") as file, mmap.mmap(file.fileno(), 24) as shifts:
            shifts[:] = struct.pack("3q", *nanoseconds)


@asynccontextmanager
async def stopped_once_begun(stack: Stack) -> AsyncIterator[Wish]:
    """The replica stands still from its begin on, before the opening; goes on afterwards."""
    wanted = await wish(stack, opens_in_s=5)
    [process] = psutil.Process(stack.processes["service"].pid).children()  # the first holds the leash
    await until(stack, wanted, "booking_started_at is not null")
    process.suspend()
    try:
        await until(stack, wanted, "prebooking.now() > available_at")
        yield wanted
    finally:
        process.resume()


async def settled_and_cancelled(stack: Stack, wanted: Wish) -> None:
    """The lease has ended: another replica settles the row as absent and releases it; its user cancels it."""
    token = uuid4()
    calls = {
        "claimed": ("claim_prebooking($1, $2, null, 60, 99)", (wanted.id, token)),
        "released": ("release_prebooking($1, $2, null, null, '[]', 60, true, true)", (wanted.id, token)),
        "cancelled": ("cancel_prebooking($1, $2)", (wanted.id, ANA.email)),
    }
    async with stack.database() as connection:
        await connection.execute(
            "update public.prebookings set lease_until = lease_until - $2 * interval '1 s' where id = $1",
            wanted.id,
            _SUSPENDED_S,
        )
        for outcome, (call, arguments) in calls.items():
            answered = await connection.fetchval(f"select public.{call} ->> 'outcome'", *arguments)
            assert answered == outcome


@pytest.mark.parametrize(
    "clock",
    [
        pytest.param("boottime_s", id="of which the system knows"),
        pytest.param("wall_s", id="of a virtual machine, that only the wall clock is told of"),
    ],
)
async def test_what_wakes_after_its_lease_from_a_suspend_sends_nothing(
    stack: Stack, tmp_path: Path, clock: str
) -> None:
    clocks = Clocks(tmp_path)
    async with service(replace(stack, environment=stack.environment | clocks.environment)):
        async with stopped_once_begun(stack) as wanted:
            await settled_and_cancelled(stack, wanted)
            clocks.shift(**{clock: _SUSPENDED_S})
        await asyncio.sleep(2)
        assert await lateness_ms(stack, wanted) == []
        row = await until(stack, wanted, "true")
        assert row["status"] == "cancelled"
        assert await broken_promises(stack, wanted) == []


async def test_what_wakes_within_its_lease_books_late(stack: Stack, tmp_path: Path) -> None:
    clocks = Clocks(tmp_path)
    async with service(replace(stack, environment=stack.environment | clocks.environment)):
        async with stopped_once_begun(stack) as wanted:
            clocks.shift(wall_s=1, boottime_s=1)
        row = await until(stack, wanted, "status not in ('pending', 'executing')")
        assert row["status"] == "completed"
        assert len(await lateness_ms(stack, wanted)) == 1
        assert await broken_promises(stack, wanted) == []
