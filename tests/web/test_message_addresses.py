"""PUBLIC_URL changes while rows wait: the next sweep has their messages ring at the new one."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from tests.support.executions import ANA, sweep
from tests.support.world import Outside, World, open_world

from prebooking_local.qstash.message import Message, State


@pytest.fixture
async def moved(sweepless: World, outside: Outside) -> AsyncIterator[World]:
    """A replica with another PUBLIC_URL, beside the first."""
    async with open_world(sweepless.database, *outside, beside=True, sweep_seconds=0) as running:
        yield running


async def waiting(world: World, number: int = 1) -> list[dict[str, Any]]:
    await world.member(ANA)
    return [await world.prebook(ANA, world.open_class(3600 + n), id=700 + n) for n in range(number)]


def alive(world: World, row: dict[str, Any]) -> Message:
    """The one message of it that will ring."""
    (message,) = [message for message in world.messages(row["id"]) if message.state is State.WAITING]
    return message


async def test_the_next_sweep_orders_each_message_for_the_new_address_and_takes_the_old_one_back(
    sweepless: World, moved: World
) -> None:
    rows = await waiting(sweepless, 3)
    assert all(alive(sweepless, row).order.url.startswith(sweepless.url) for row in rows)
    await sweep(moved)
    for row in rows:
        message = alive(moved, row)
        assert message.order.url == f"{moved.url}/qstash/prebooking-execute"
        assert (await moved.read(ANA, row["id"]))["qstash_schedule_id"] == message.id
        assert len(moved.messages(row["id"])) == 2
    await sweep(moved)
    assert [len(moved.messages(row["id"])) for row in rows] == [2, 2, 2]


async def test_two_replicas_with_different_addresses_do_not_order_without_end(
    sweepless: World, moved: World, database: asyncpg.Connection
) -> None:
    (row,) = await waiting(sweepless)
    for _ in range(3):
        await sweep(moved)
        await sweep(sweepless)
    assert len(moved.messages(row["id"])) == 2
    await database.execute("update public.prebookings set readdressed_at = now() - interval '11 minutes'")
    broker = sweepless.qstash.qstash.broker
    broker._deduplication = type(broker._deduplication)(broker._clock)  # which forgets after ten minutes, too
    await sweep(sweepless)
    assert alive(sweepless, row).order.url.startswith(sweepless.url)


async def test_a_message_that_cannot_be_taken_back_rings_for_nothing(sweepless: World, moved: World) -> None:
    (row,) = await waiting(sweepless)
    sweepless.qstash.qstash.faults.change({"api_status": {"value": 500, "on": "cancel"}})
    await sweep(moved)
    old, new = sorted(moved.messages(row["id"]), key=lambda message: message.order.url.startswith(moved.url))
    assert (old.state, new.state) == (State.WAITING, State.WAITING)
    assert (await moved.read(ANA, row["id"]))["qstash_schedule_id"] == new.id


async def test_a_sweep_that_dies_before_it_is_noted_orders_no_third_message(
    sweepless: World, moved: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = await waiting(sweepless)

    async def died(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(moved.services.store, "attach_message", died)
        await sweep(moved)
    await sweep(moved)
    assert len(moved.messages(row["id"])) == 2
    assert alive(moved, row).order.url.startswith(moved.url)
