"""A message that rings long before its opening ("Run now" in QStash's console) harms nothing and loses nothing."""

import asyncio
from typing import Any

from tests.support.executions import ANA, delivered, sweep, until
from tests.support.world import World

from prebooking_local.qstash.message import Message, State

_DAY_S = 86_400


async def prebooked_ringing_now(world: World, opens_in_s: int) -> tuple[dict[str, Any], Message]:
    world.qstash.qstash.faults.change({"shift_s": {"value": -opens_in_s, "next": 1}})
    await world.member(ANA)
    row = await world.prebook(ANA, world.open_class(opens_in_s))
    (message,) = world.messages(row["id"])
    return row, message


async def untouched(world: World, row: dict[str, Any]) -> None:
    """Nobody has claimed it, and no attempt is counted."""
    now = await world.database.fetchrow(
        "select status, attempts, claim_token, claim_tokens, lease_until, executed_at, last_outcome"
        " from public.prebookings where id = $1",
        row["id"],
    )
    assert now is not None
    assert tuple(now) == ("pending", 0, None, [], None, None, None)
    assert world.gym.ledger.of("/api/book") == []


async def test_hours_early_it_is_held_until_its_instant(sweepless: World) -> None:
    row, message = await prebooked_ringing_now(sweepless, 5 * 3600)
    answered = await delivered(sweepless, row)
    assert (answered.status, answered.outcome) == (503, "not-due")
    assert 5 * 3600 - 30 < (answered.retry_after or 0) <= 5 * 3600 - 3 + 1
    await until(lambda: message.state is State.WAITING and message.retried == 1)
    again = next(
        entry["nextDeliveryTime"] / 1000
        for entry in sweepless.qstash.qstash.broker.journal.newest_first()
        if entry["messageId"] == message.id and entry["state"] == "RETRY"
    )
    assert -2 <= again - message.not_before <= 2
    await untouched(sweepless, row)


async def test_days_early_qstash_spends_its_retries_and_the_sweep_orders_another(sweepless: World) -> None:
    """QStash waits for no more than a day when it is asked to; so its tries are over within seconds."""
    row, message = await prebooked_ringing_now(sweepless, 5 * _DAY_S)
    await until(lambda: message.state is State.FAILED)
    assert [(attempt.status, b"not-due" in attempt.body) for attempt in message.attempts] == [(503, True)] * 6
    async with asyncio.timeout(60):
        while (now := await sweepless.read(ANA, row["id"]))["qstash_schedule_id"]:
            await asyncio.sleep(0.02)
    assert now["status"] == "pending"
    await untouched(sweepless, row)

    await sweepless.database.execute("update public.prebookings set armed_at = now() - interval '11 s'")
    await sweep(sweepless)
    again = next(one for one in sweepless.messages(row["id"]) if one.state is State.WAITING)
    assert (again.not_before, again.order.retries) == (message.not_before, 5)
    assert (await sweepless.read(ANA, row["id"]))["qstash_schedule_id"] == again.id
    await untouched(sweepless, row)
