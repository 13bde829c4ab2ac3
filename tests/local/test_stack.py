"""The stack as a newcomer meets it: the commands, in processes of their own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from prebooking_local.demo import demo

PREBOOKING = [sys.executable, "-m", "prebooking"]
ANY_PORTS = ["--port", "0", "--qstash-port", "0", "--supabase-port", "0", "--aimharder-port", "0"]


async def test_the_demo_books_every_member_once_and_says_so() -> None:
    console = Console(record=True, width=120)

    assert await demo(console, count=4, opens_in_s=4) == 0

    said = console.export_text()
    assert "4 of 4 booked, each exactly once" in said
    assert said.count("booked") >= 4


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*PREBOOKING, "dev", *ANY_PORTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "200", "TMPDIR": str(tmp_path)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


async def test_dev_books_one_while_you_look_and_ctrl_c_leaves_nothing_running(
    dev: subprocess.Popen[str],
) -> None:
    assert dev.stdout
    said = ""
    async with asyncio.timeout(120):
        while "You are booked." not in said:
            line = await asyncio.to_thread(dev.stdout.readline)
            assert line, said
            said += line
    parts = psutil.Process(dev.pid).children(recursive=True)
    assert len(parts) >= 5

    dev.send_signal(signal.SIGINT)

    assert await asyncio.to_thread(dev.wait, 60) == 0
    assert [part for part in parts if part.is_running()] == []


async def test_killed_outright_dev_takes_its_parts_with_it(dev: subprocess.Popen[str]) -> None:
    assert dev.stdout
    async with asyncio.timeout(120):
        while "Ctrl-C ends all of it" not in await asyncio.to_thread(dev.stdout.readline):
            pass
    parts = psutil.Process(dev.pid).children(recursive=True)

    dev.kill()

    async with asyncio.timeout(120):
        while [part for part in parts if part.is_running() and part.status() != psutil.STATUS_ZOMBIE]:
            await asyncio.sleep(0.05)


async def test_a_busy_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = await asyncio.to_thread(
            subprocess.run,
            [*PREBOOKING, "dev", *ANY_PORTS, "--qstash-port", port],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )

    assert done.returncode == 1
    assert f"port {port}" in done.stdout
    assert "choose another port" in " ".join(done.stdout.split())
