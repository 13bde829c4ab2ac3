"""Where names lead to: one look-up a name at a time, remembered for seconds, and no name waits for another."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest

from prebooking.adapters.aimharder import resolver as module
from prebooking.adapters.aimharder.addresses import NotPublicError
from prebooking.adapters.aimharder.c_ares import Found, UnresolvedError
from prebooking.adapters.aimharder.resolver import PinnedResolver, Resolver

GYM, OTHER = "93.184.216.34", "1.1.1.1"


@dataclass
class Names:
    """Name servers whose answers the test gives; and a clock."""

    answers: dict[str, Found] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    waiting: dict[str, asyncio.Event] = field(default_factory=dict)
    now_s: float = 0.0

    def put(self, host: str, *addresses: str, ttl_s: float = 300) -> None:
        self.answers[host] = Found(addresses, ttl_s)

    def silence(self, host: str) -> asyncio.Event:
        self.waiting[host] = asyncio.Event()
        return self.waiting[host]

    async def look_up(self, host: str) -> Found:
        self.asked[host] += 1
        if host in self.waiting:
            await self.waiting[host].wait()
        if host not in self.answers:
            raise UnresolvedError(f"{host}: nowhere")
        return self.answers[host]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def resolver(names: Names) -> Resolver:
    return Resolver(names.look_up, now=lambda: names.now_s)


async def test_a_crowd_that_asks_for_one_name_asks_once(names: Names, resolver: Resolver) -> None:
    names.put("gym.test", GYM, OTHER)
    answered = names.silence("gym.test")
    crowd = [asyncio.create_task(resolver.addresses("gym.test")) for _ in range(300)]
    await asyncio.sleep(0)
    answered.set()
    assert set(await asyncio.gather(*crowd)) == {(GYM, OTHER)}
    assert names.asked["gym.test"] == 1


async def test_a_name_waits_for_none_of_those_that_nobody_answers(names: Names, resolver: Resolver) -> None:
    names.put("gym.test", GYM)
    for n in range(50):
        names.silence(f"silent{n}.test")
    silent = [asyncio.create_task(resolver.addresses(f"silent{n}.test")) for n in range(50) for _ in range(3)]
    await asyncio.sleep(0)
    before = asyncio.get_running_loop().time()
    assert await resolver.addresses("gym.test") == (GYM,)
    assert asyncio.get_running_loop().time() - before < 0.05
    assert not any(one.done() for one in silent)
    await resolver.aclose()
    await asyncio.gather(*silent, return_exceptions=True)
    assert max(names.asked.values()) == 1


@pytest.mark.parametrize(("ttl_s", "good_for_s"), [(300, 10), (4, 4), (0, 1)])
async def test_an_answer_is_good_for_as_long_as_it_says_within_ten_seconds(
    names: Names, resolver: Resolver, ttl_s: float, good_for_s: float
) -> None:
    names.put("gym.test", GYM, ttl_s=ttl_s)
    await resolver.addresses("gym.test")
    names.put("gym.test", OTHER)
    names.now_s = good_for_s - 0.01
    assert await resolver.addresses("gym.test") == (GYM,)
    names.now_s = good_for_s
    assert await resolver.addresses("gym.test") == (OTHER,)


async def test_that_a_name_leads_nowhere_is_believed_for_a_second(names: Names, resolver: Resolver) -> None:
    for _ in range(3):
        with pytest.raises(UnresolvedError, match=r"gym\.test: nowhere"):
            await resolver.addresses("gym.test")
    names.put("gym.test", GYM)
    names.now_s = 1.0
    assert await resolver.addresses("gym.test") == (GYM,)
    assert names.asked["gym.test"] == 2


async def test_that_a_name_leads_elsewhere_is_believed_for_a_second(names: Names, resolver: Resolver) -> None:
    names.put("gym.test", GYM, "10.0.0.1")
    for _ in range(3):
        with pytest.raises(NotPublicError, match=r"gym\.test leads to 10\.0\.0\.1"):
            await resolver.addresses("gym.test")
    names.put("gym.test", GYM)
    names.now_s = 1.0
    assert await resolver.addresses("gym.test") == (GYM,)


async def test_who_waits_no_longer_does_not_end_the_look_up_for_the_others(names: Names, resolver: Resolver) -> None:
    names.put("gym.test", GYM)
    answered = names.silence("gym.test")
    impatient, patient = (asyncio.create_task(resolver.addresses("gym.test")) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    answered.set()
    assert await patient == (GYM,)
    assert names.asked["gym.test"] == 1


async def test_a_look_up_ends_in_time_whatever_the_name_servers_do(
    names: Names, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WITHIN_S", 0.01)
    names.silence("gym.test")
    with pytest.raises(UnresolvedError, match="no name server answered"):
        await resolver.addresses("gym.test")


async def test_a_name_with_more_addresses_than_can_be_looked_at_is_refused(names: Names, resolver: Resolver) -> None:
    names.put("gym.test", *(f"93.184.216.{n}" for n in range(65)))
    with pytest.raises(UnresolvedError, match="65 addresses"):
        await resolver.addresses("gym.test")


@pytest.mark.parametrize("address", [GYM, "2606:4700::6810:84e5"])
async def test_an_address_needs_no_look_up(names: Names, resolver: Resolver, address: str) -> None:
    assert await resolver.addresses(address) == (address,)
    assert not names.asked


async def test_it_remembers_no_more_names_than_fit(
    names: Names, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_NAMES", 3)
    for n in range(5):
        names.put(f"gym{n}.test", GYM)
        await resolver.addresses(f"gym{n}.test")
    assert set(resolver._known) == {"gym2.test", "gym3.test", "gym4.test"}
    assert not resolver._flights


async def test_what_is_pinned_stays_and_a_refusal_is_not_pinned(names: Names, resolver: Resolver) -> None:
    pinned = PinnedResolver(resolver)
    with pytest.raises(UnresolvedError):
        await pinned.addresses("gym.test")
    names.put("gym.test", GYM)
    names.now_s = 1.0
    assert await pinned.addresses("gym.test") == (GYM,)
    names.put("gym.test", OTHER)
    names.now_s = 100.0
    assert await pinned.addresses("gym.test") == (GYM,)
    assert await PinnedResolver(resolver).addresses("gym.test") == (OTHER,)
