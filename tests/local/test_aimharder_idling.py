"""Connections on which nothing happens: closed by the gym, or forgotten by something between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from tests.local.aimharder_guest import BOOK, Town, new_town

from prebooking_local.aimharder import Fault


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with new_town() as town:
        town.open()
        yield town


def spoil(town: Town, **fault: Any) -> int:
    return town.aimharder.faults.add(Fault.model_validate(fault))


@asynccontextmanager
async def connection(town: Town, ask: bytes = b"") -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    url = httpx.URL(town.aimharder.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        if ask:
            writer.write(b"GET %b HTTP/1.1\r\nHost: gym\r\n\r\n" % ask)
            await reader.readuntil(b"\r\n\r\n")
        yield reader, writer
    finally:
        writer.close()


async def closed_after(reader: asyncio.StreamReader) -> float:
    """Seconds until the other side closed it."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(30):
        await reader.read()
    return loop.time() - started


async def test_a_connection_is_closed_so_long_after_its_last_answer(town: Town) -> None:
    spoil(town, kind="idle_timeout_s", seconds=0.2)
    async with connection(town, b"/api/whoami") as (reader, _):
        assert await closed_after(reader) >= 0.15


async def test_one_that_never_asked_is_closed_as_well(town: Town) -> None:
    spoil(town, kind="idle_timeout_s", seconds=0.2)
    async with connection(town) as (reader, _):
        assert await closed_after(reader) >= 0.15


async def test_one_whose_answer_is_awaited_is_not_idle(town: Town) -> None:
    spoil(town, kind="idle_timeout_s", seconds=0.05)
    spoil(town, kind="slow", seconds=0.2)
    answer = await town.member().request("POST", "/mygym" + BOOK, data={"id": "501", "day": "20300117"})
    assert answer.json()["bookState"] == 1


async def test_one_on_which_something_happens_in_time_lives_on(town: Town) -> None:
    spoil(town, kind="idle_timeout_s", seconds=0.5)
    ana = town.member()
    for _ in range(7):
        await ana.request("GET", "/api/whoami")
        await asyncio.sleep(0.1)
    assert len({entry.request.connection for entry in town.aimharder.ledger.entries}) == 1


async def test_only_those_of_the_box_that_is_named_are_closed_and_only_so_many(town: Town) -> None:
    town.box(slug="other", boid=8)
    spoil(town, kind="idle_timeout_s", seconds=0.05, box="mygym", times=1)
    async with connection(town, b"/mygym/schedule") as (first, _), connection(town, b"/other/schedule") as (other, _):
        await closed_after(first)
        async with connection(town, b"/mygym/schedule") as (second, _):
            await asyncio.sleep(0.15)
            assert (other.at_eof(), second.at_eof()) == (False, False)
    assert not town.aimharder.faults.active


async def test_one_that_is_forgotten_looks_open_and_answers_nothing(town: Town) -> None:
    spoil(town, kind="idle_drop_s", seconds=0.05, times=1)
    async with connection(town, b"/api/whoami") as (reader, writer):
        await reader.readexactly(2)  # the body's first bytes; what else came before is forgotten with it
        async with asyncio.timeout(30):
            while town.aimharder.faults.active:
                await asyncio.sleep(0.005)
        writer.write(b"GET /api/whoami HTTP/1.1\r\nHost: gym\r\n\r\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.readuntil(b"HTTP/1.1")
        assert not reader.at_eof()
    assert len(town.aimharder.ledger.entries) == 1
    assert (await town.member().request("GET", "/api/whoami")).status_code == 200


def test_how_long_must_be_said() -> None:
    with pytest.raises(ValidationError, match="idle_timeout_s needs seconds"):
        Fault(kind="idle_timeout_s")
