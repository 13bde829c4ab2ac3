"""A host that was silent a moment ago is asked sparsely, one at a time; as soon as it answers, by everybody again."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.fake_clock import FakeClock

from prebooking.concurrency.circuit_breaker import CircuitBreaker, CircuitBreakers
from prebooking.domain.errors import BoxSilentError, HostSilentError


class Host:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.circuit = CircuitBreaker(self.clock)
        self.asked = 0
        self.answers = False
        self.takes_s = 0.0

    async def question(self) -> str:
        self.asked += 1
        self.clock.true_time += self.takes_s
        await asyncio.sleep(0)
        if not self.answers:
            raise HostSilentError("nothing")
        return "answer"

    async def ask(self, *, bypass: bool = False) -> str | None:
        try:
            return await self.circuit.call(self.question, bypass=bypass)
        except BoxSilentError:
            return None


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
async def silent(host: Host) -> Host:
    for _ in range(3):
        await host.ask()
    host.asked = 0
    return host


async def test_after_three_failures_in_a_row_it_is_left_alone(host: Host) -> None:
    for _ in range(10):
        await host.ask()
    assert host.asked == 3
    assert host.circuit.is_open
    assert host.circuit.rejects


async def test_an_answer_between_failures_keeps_it_closed(host: Host) -> None:
    for _ in range(10):
        for answers in (False, False, True):
            host.answers = answers
            await host.ask()
    assert host.asked == 30


async def test_failures_long_after_each_other_say_nothing(host: Host) -> None:
    for _ in range(10):
        await host.ask()
        host.clock.true_time += 31
    assert host.asked == 10


async def test_an_answer_of_no_use_is_no_silence(host: Host) -> None:
    async def useless() -> None:
        raise BoxSilentError("HTTP 503")

    for _ in range(10):
        with pytest.raises(BoxSilentError, match="503"):
            await host.circuit.call(useless)


async def test_one_probe_at_a_time_asks_after_the_pause(silent: Host) -> None:
    silent.clock.true_time += 1.3
    assert not silent.circuit.rejects
    assert await asyncio.gather(*(silent.ask() for _ in range(50))) == [None] * 50
    assert silent.asked == 1


async def test_a_probe_that_is_answered_closes_it_for_all(silent: Host) -> None:
    silent.clock.true_time += 1.3
    silent.answers = True
    assert await silent.ask() == "answer"
    assert await asyncio.gather(*(silent.ask() for _ in range(5))) == ["answer"] * 5


async def test_the_longer_it_is_silent_the_more_rarely_it_is_asked(silent: Host) -> None:
    instants = []
    for _ in range(3000):
        silent.clock.true_time += 0.1
        before = silent.asked
        await silent.ask()
        if silent.asked > before:
            instants.append(silent.clock.true_time)
    pauses = [later - earlier for earlier, later in itertools.pairwise(instants)]
    assert pauses[0] < 3
    assert all(20 < pause < 40 for pause in pauses[5:])


async def test_who_bypasses_it_is_let_through_and_what_they_hear_is_heard_by_all(silent: Host) -> None:
    await asyncio.gather(*(silent.ask(bypass=True) for _ in range(5)))
    assert silent.asked == 5
    silent.clock.true_time += 1.3
    assert not silent.circuit.rejects  # what they did not hear has made no pause longer
    silent.answers = True
    await silent.ask(bypass=True)
    assert not silent.circuit.is_open


@pytest.mark.parametrize(("waits_s", "counts"), [(0.5, False), (1.5, True)])
async def test_who_gives_up_after_a_while_has_found_it_silent(host: Host, waits_s: float, counts: bool) -> None:  # noqa: FBT001
    for _ in range(3):
        asking = asyncio.create_task(host.circuit.call(asyncio.Event().wait))
        await asyncio.sleep(0)
        host.clock.true_time += waits_s
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert host.circuit.is_open is counts


async def test_a_probe_that_is_broken_off_makes_way_for_the_next(silent: Host) -> None:
    silent.clock.true_time += 1.3
    probe = asyncio.create_task(silent.circuit.call(asyncio.Event().wait))
    await asyncio.sleep(0)
    assert silent.circuit.rejects
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert not silent.circuit.rejects


@given(st.lists(st.sampled_from(["ask", "bypass", "answers", "is silent", "time passes"]), max_size=60))
def test_whatever_happens_a_host_that_answers_again_is_soon_asked_by_everybody(events: list[str]) -> None:
    async def live() -> None:
        host = Host()
        for event in events:
            match event:
                case "ask" | "bypass":
                    await host.ask(bypass=event == "bypass")
                case "answers" | "is silent":
                    host.answers = event == "answers"
                case _:
                    host.clock.true_time += 2
        host.answers = True
        host.clock.true_time += 40
        assert await host.ask() == "answer"
        assert not host.circuit.is_open

    asyncio.run(live())


async def test_hosts_know_nothing_of_each_other_and_the_forgotten_are_few() -> None:
    circuits = CircuitBreakers(FakeClock())
    assert circuits.of("a") is circuits.of("a") is not circuits.of("b")
    for number in range(3000):
        circuits.of(str(number))
        circuits.of("a")
    assert len(circuits._of) <= 1001
    kept = circuits.of("a")
    circuits.of("b")
    assert circuits.of("a") is kept
