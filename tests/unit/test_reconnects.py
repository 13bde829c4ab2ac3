"""Many who find no connection don't try all the time; as soon as one has got through, all do."""

import asyncio
import time
from collections import Counter

import pytest

from prebooking.usecases.booking import reconnects
from prebooking.usecases.booking.reconnects import Reconnects


async def test_as_soon_as_one_is_connected_all_others_of_that_box_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnects, "_PAUSE_S", 3600)
    waiting = Reconnects()
    tries = Counter[str]()

    async def try_again(box: str) -> None:
        await waiting.pause(box)
        tries[box] += 1

    tasks = [asyncio.create_task(try_again(box)) for box in ("a", "a", "b")]
    await asyncio.sleep(0)
    waiting.connected("a")
    await asyncio.gather(*tasks[:2])
    assert tries == {"a": 2}
    tasks[2].cancel()
    await asyncio.gather(tasks[2], return_exceptions=True)
    assert not waiting._waiting


async def test_the_more_there_are_the_more_rarely_each_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnects, "_PAUSE_S", 0.001)
    monkeypatch.setattr(reconnects, "_EACH_S", 0.001)
    waiting, took = Reconnects(), {}
    for number in (1, 200):
        began = time.monotonic()
        tasks = [asyncio.create_task(waiting.pause("a")) for _ in range(number)]
        await asyncio.wait(tasks)
        took[number] = time.monotonic() - began
    assert took[200] > 0.09  # the last of them: 0.1 to 0.3 s
    assert not waiting._waiting


async def test_one_alone_tries_again_soon() -> None:
    async with asyncio.timeout(5):
        await Reconnects().pause("a")
