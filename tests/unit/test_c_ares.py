"""A look-up on real sockets, with a name server that has bad days."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from prebooking.adapters.aimharder import c_ares
from prebooking.adapters.aimharder.c_ares import UnresolvedError, look_up
from prebooking.adapters.aimharder.resolver import Resolver
from prebooking_local.names import NameServer, name_server

GYM, GYM6 = "93.184.216.34", "2606:4700::6810:84e5"


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    async with name_server() as names:
        yield names


async def find(names: NameServer, host: str) -> c_ares.Found:
    return await look_up(host, [names.address])


async def test_all_addresses_of_a_name_are_found_of_either_kind(names: NameServer) -> None:
    names.put("gym.test", [GYM, "1.1.1.1", GYM6], ttl_s=7)
    found = await find(names, "gym.test")
    assert sorted(found.addresses) == ["1.1.1.1", GYM6, GYM]
    assert found.ttl_s == 7
    assert (await find(names, "GYM.test")).addresses == found.addresses


async def test_each_look_up_asks_anew(names: NameServer) -> None:
    names.put("gym.test", [GYM], ["1.1.1.1"], ttl_s=3600)
    assert [(await find(names, "gym.test")).addresses for _ in range(3)] == [(GYM,), ("1.1.1.1",), ("1.1.1.1",)]


@pytest.mark.parametrize(("code", "why"), [("nxdomain", "ENOTFOUND"), ("servfail", "ESERVFAIL"), ("ok", "ENODATA")])
async def test_a_name_without_an_address_is_none(names: NameServer, code: str, why: str) -> None:
    names.put("gym.test", [], code=code)
    with pytest.raises(UnresolvedError, match=rf"gym\.test: ARES_{why}"):
        await find(names, "gym.test")
    names.put("gym.test", [GYM])
    assert (await find(names, "gym.test")).addresses == (GYM,)


@pytest.mark.parametrize("host", ["", "a..b", "x" * 64 + ".test", "x." * 140, "gým.test", "a b.test", "2130706433"])
async def test_what_can_be_no_name_is_none(names: NameServer, host: str) -> None:
    with pytest.raises(UnresolvedError):
        await find(names, host)


async def test_no_local_suffix_is_tried(names: NameServer) -> None:
    with pytest.raises(UnresolvedError):
        await find(names, "gym.test")
    assert set(names.questions) == {"gym.test"}


async def test_a_name_that_is_answered_late_is_found(names: NameServer) -> None:
    names.put("gym.test", [GYM], after_s=0.3)
    assert (await find(names, "gym.test")).addresses == (GYM,)


async def test_a_lost_question_is_asked_again(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_ares, "_TRY_S", 0.1)
    zone = names.put("gym.test", [GYM], silent=True)
    finding = asyncio.create_task(find(names, "gym.test"))
    async with asyncio.timeout(30):
        while not zone.asked:
            await asyncio.sleep(0)
    zone.silent = False
    assert (await finding).addresses == (GYM,)


async def test_a_silent_name_server_is_given_up(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_ares, "_TRY_S", 0.02)
    names.put("gym.test", silent=True)
    with pytest.raises(UnresolvedError, match="ETIMEOUT"):
        await find(names, "gym.test")


async def test_where_no_name_server_is_there_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_ares, "_TRY_S", 0.02)
    async with name_server() as gone:
        pass
    with pytest.raises(UnresolvedError):
        await find(gone, "gym.test")


async def test_fifty_names_that_nobody_answers_delay_no_other_and_hold_no_thread(names: NameServer) -> None:
    names.put("*.silent.test", silent=True)
    names.put("*.slow.test", code="nxdomain", after_s=1.0)
    names.put("*.gyms.test", [GYM])
    resolver = Resolver(partial(look_up, servers=[names.address]))
    await resolver.addresses("first.gyms.test")
    threads = threading.active_count()
    lost = [
        asyncio.create_task(resolver.addresses(f"n{n}.{kind}.test")) for n in range(50) for kind in ("silent", "slow")
    ]
    await asyncio.sleep(0.05)
    took = []
    for n in range(20):
        before = time.monotonic()
        await resolver.addresses(f"gym{n}.gyms.test")
        took.append(time.monotonic() - before)
    assert sorted(took)[10] < 0.05
    assert threading.active_count() == threads
    assert not any(one.done() for one in lost)
    await resolver.aclose()
    await asyncio.gather(*lost, return_exceptions=True)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_one_that_is_given_up_leaves_nothing_open(names: NameServer) -> None:
    names.put("gym.test", silent=True)
    before = open_files()
    finding = asyncio.create_task(find(names, "gym.test"))
    async with asyncio.timeout(30):
        while not names.questions:
            await asyncio.sleep(0)
    assert open_files() > before
    finding.cancel()
    await asyncio.wait([finding])
    assert open_files() == before


async def test_its_sockets_are_let_go_at_once_and_not_by_another_thread(names: NameServer) -> None:
    names.put("gym.test", silent=True)
    question = c_ares._Question([names.address])
    asking = asyncio.create_task(question.ask("gym.test"))
    await asyncio.sleep(0)
    assert question._reading
    question.close()
    assert not question._reading
    await asyncio.wait([asking])
    assert asking.cancelled()


async def test_the_systems_own_file_of_hosts_comes_first() -> None:
    assert "127.0.0.1" in (await look_up("localhost")).addresses
