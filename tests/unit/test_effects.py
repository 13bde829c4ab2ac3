"""What was sent and can't be repeated is awaited and stored, whoever cancels, however often."""

import asyncio
import socket
import time
from contextlib import suppress
from typing import Any

import pytest
from tests.support.fake_clock import FakeClock

from prebooking.domain.errors import BoxSilentError, NotSentError, StoreRefusedError, StoreUnavailableError
from prebooking.usecases.effects import GRACE_S, Effect, Effects


class Outside:
    """A gym that answers when it is told to, and a database that is away for some tries."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.effects = Effects(self.clock)
        self.sent = 0
        self.tries = 0
        self.away_for = 0
        self.answers = asyncio.Event()
        self.stored: list[str] = []
        self.at_gym = asyncio.Event()

    async def rotate(self) -> str:
        self.sent += 1
        self.at_gym.set()
        await self.answers.wait()
        return "new"

    async def save(self) -> str:
        self.tries += 1
        await asyncio.sleep(0)
        if self.tries <= self.away_for:
            raise StoreUnavailableError("away")
        self.stored.append("new")
        return "stored"

    async def work(self, effect: Effect[str]) -> str:
        await effect.send(self.rotate, within_s=5)
        return await effect.store(self.save, provisional="known")

    def run(self, owner: str = "ana") -> Effect[str]:
        return self.effects.run("rotation", owner, self.work)


@pytest.fixture
def outside() -> Outside:
    return Outside()


async def cancel_often(task: asyncio.Task[Any]) -> None:
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    with suppress(asyncio.CancelledError):
        await task


async def test_a_cancelled_caller_leaves_what_was_sent_to_be_stored(outside: Outside) -> None:
    async def call() -> None:
        await outside.run().result()

    caller = asyncio.create_task(call())
    await outside.at_gym.wait()
    await cancel_often(caller)
    outside.answers.set()
    await outside.effects.wait_idle()
    assert outside.stored == ["new"]


async def test_of_two_who_wait_one_may_leave(outside: Outside) -> None:
    async def call() -> str:
        return await outside.run().result()

    leaves, stays = asyncio.create_task(call()), asyncio.create_task(call())
    await outside.at_gym.wait()
    await cancel_often(leaves)
    outside.answers.set()
    assert await stays == "stored"


async def test_whoever_cancels_all_tasks_cancels_no_effect(outside: Outside) -> None:
    effect = outside.run()
    await outside.at_gym.wait()
    me = asyncio.current_task()
    for _ in range(2):
        for task in asyncio.all_tasks():
            if task is not me and "Outside.work" in str(task.get_coro()):
                assert not task.cancel()
        await asyncio.sleep(0)
    outside.answers.set()
    assert await effect.result() == "stored"


def test_the_event_loops_own_end_waits_for_it() -> None:
    async def main() -> Outside:
        outside = Outside()
        outside.away_for = 3
        outside.run()
        await outside.at_gym.wait()
        asyncio.get_running_loop().call_later(0.05, outside.answers.set)
        return outside

    outside = asyncio.run(main())  # it cancels what is left, which loses nothing
    assert outside.stored == ["new"]


def test_the_event_loops_end_breaks_off_what_storing_is_made_of_and_it_is_stored_all_the_same() -> None:
    async def main() -> list[str]:
        outside = Outside()
        outside.answers.set()
        begun = asyncio.Event()

        async def slow() -> None:
            begun.set()
            await asyncio.sleep(60)

        async def save() -> str:
            outside.tries += 1
            if outside.tries == 1:
                await asyncio.create_task(slow())  # as a client's connection is
            return await outside.save()

        async def work(effect: Effect[str]) -> str:
            return await effect.store(save)

        outside.effects.run("rotation", "ana", work)
        await begun.wait()
        return outside.stored

    assert asyncio.run(main()) == ["new"]


async def test_it_is_stored_however_long_the_database_is_away_and_who_waits_is_told_meanwhile(
    outside: Outside,
) -> None:
    outside.away_for = 50
    outside.answers.set()
    assert await outside.run().result() == "known"
    assert not outside.stored
    assert await outside.run().result() == "known"  # the same one
    await outside.effects.wait_idle()
    assert (outside.sent, outside.stored, outside.tries) == (1, ["new"], 51)
    assert sum(outside.clock.slept) > 60
    assert max(outside.clock.slept) <= 3


async def test_there_is_one_of_an_owner_at_a_time_and_others_beside_it(outside: Outside) -> None:
    first, again, other = outside.run(), outside.run(), outside.run("bea")
    assert first is again
    assert first is not other
    outside.answers.set()
    await outside.effects.wait_idle()
    assert outside.sent == 2
    assert outside.run() is not first
    await outside.effects.wait_idle()


async def test_a_stop_has_nothing_more_sent_and_what_was_sent_is_stored_before_the_end(outside: Outside) -> None:
    outside.run()
    await outside.at_gym.wait()
    outside.effects.stop()
    draining = asyncio.create_task(outside.effects.drain())
    await asyncio.sleep(0)
    with pytest.raises(NotSentError):
        await outside.run("bea").result()
    for _ in range(3):
        draining.cancel()
        await asyncio.sleep(0)
    assert not draining.done()
    outside.answers.set()
    with pytest.raises(asyncio.CancelledError):
        await draining  # it is obeyed at the end
    assert (outside.sent, outside.stored) == (1, ["new"])


async def test_once_the_grace_is_over_it_ends_in_vain(outside: Outside) -> None:
    outside.away_for = 10**6
    outside.answers.set()
    assert await outside.run().result() == "known"
    before = outside.clock.monotonic()
    await outside.effects.drain()
    assert GRACE_S <= outside.clock.monotonic() - before < GRACE_S + 4


async def test_an_answer_that_does_not_come_is_lost_and_its_own_time_outs_work(outside: Outside) -> None:
    async def work(effect: Effect[str]) -> str:
        return await effect.send(outside.rotate, within_s=0.01)

    with pytest.raises(BoxSilentError) as raised:
        await outside.effects.run("rotation", "ana", work).result()
    assert not isinstance(raised.value, NotSentError)


async def test_nothing_is_sent_later_than_it_may_be(outside: Outside) -> None:
    async def work(effect: Effect[str]) -> str:
        return await effect.send(outside.rotate, within_s=5, not_after=outside.clock.monotonic())

    with pytest.raises(NotSentError):
        await outside.effects.run("rotation", "ana", work).result()
    assert outside.sent == 0


@pytest.mark.parametrize("error", [StoreRefusedError("no"), ValueError("ours")])
async def test_what_storing_raises_is_told_and_tried_no_more(outside: Outside, error: Exception) -> None:
    async def save() -> str:
        outside.tries += 1
        raise error

    async def work(effect: Effect[str]) -> str:
        return await effect.store(save)

    with pytest.raises(type(error)):
        await outside.effects.run("rotation", "ana", work).result()
    assert outside.tries == 1


async def test_an_answer_that_came_while_the_process_stood_still_is_read(outside: Outside) -> None:
    """Its time is up by then, too: both are due at the same moment."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)

    def stand_still() -> None:
        theirs.sendall(b"new\n")
        time.sleep(0.2)  # the event loop is what stands still

    async def work(effect: Effect[bytes]) -> bytes:
        return await effect.send(reader.readline, within_s=0.1)

    rotation = outside.effects.run("rotation", "ana", work)
    asyncio.get_running_loop().call_later(0.02, stand_still)
    assert await rotation.result() == b"new\n"
    writer.close()
    theirs.close()
