"""Sessions die at every moment of the last hour: who is remembered is booked, and who is not is told in time.

LAST_HOUR_MEMBERS=100 has so many more of each, at random moments.
"""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import pytest
from tests.support.database_clock import DatabaseClock
from tests.support.webhook_receiver import Receiver
from tests.support.world import Outside, World, open_world
from tests.web.signing_in import KEY, RIGHT, enrol, logins, post

#: Seconds before the opening: before both looks, between them, after the last one, and while it is made ready.
DIED_S: dict[str, float] = {
    "ana@example.com": 3000,
    "bea@example.com": 1500,
    "eva@example.com": 120,
    "ida@example.com": 1,
}
OTHERS_DIED_S: dict[str, float] = {"jon@example.com": 3000, "leo@example.com": 1500, "max@example.com": 301}
_MORE = int(os.environ.get("LAST_HOUR_MEMBERS", "0"))
_DICE = Random(13)
DIED_S |= {f"remembered{n:03}@example.com": _DICE.uniform(20, 3590) for n in range(_MORE)}
OTHERS_DIED_S |= {f"other{n:03}@example.com": _DICE.uniform(301, 3590) for n in range(_MORE)}
REAL_S = 12.0 + _MORE / 5  # from the creation to the opening


@pytest.fixture
async def clock(database: asyncpg.Connection) -> AsyncIterator[DatabaseClock]:
    clock = DatabaseClock(database)
    try:
        yield clock
    finally:
        await clock.restore()


@pytest.fixture
async def hour(
    database: asyncpg.Connection, outside: Outside, webhook: Receiver, clock: DatabaseClock
) -> AsyncIterator[World]:
    """All have signed in more than an hour before. Chores are done when the test says so."""
    await clock.set_back(7200)
    async with open_world(
        database, *outside, **webhook.settings, sweep_seconds=0, session_encryption_keys=KEY
    ) as world:
        for email in DIED_S | OTHERS_DIED_S:
            enrol(world, email)
            assert (await post(world, RIGHT | {"email": email, "remember": email in DIED_S}, email)).status_code == 200
        world.gym.ledger.entries.clear()
        yield world


def die(world: World, opens_at: datetime, since_s: float, until_s: float) -> None:
    """Those whose session dies in this part of the hour."""
    for email, died_s in (DIED_S | OTHERS_DIED_S).items():
        if since_s > died_s >= until_s:
            at = min(datetime.now(UTC), opens_at) if died_s > REAL_S else opens_at - timedelta(seconds=died_s)
            world.gym.accounts.kill(email, int(at.timestamp() * 1e9))


async def opens_in(clock: DatabaseClock, opens_at: datetime, seconds: float) -> None:
    """By the database's clock, however long it took to come here."""
    await clock.set_back(seconds - (opens_at - datetime.now(UTC)).total_seconds())


def qstash_delivers(world: World, delivers: bool) -> None:  # noqa: FBT001
    world.qstash.qstash.faults.change({"down": None if delivers else {"value": True}})
    world.qstash.qstash.broker.heed_faults()


async def test_whenever_a_session_dies_who_is_remembered_is_booked_and_who_is_not_is_told_4_minutes_before(
    hour: World, clock: DatabaseClock, webhook: Receiver
) -> None:
    opens_at = hour.open_class(REAL_S, capacity=14 + _MORE)
    qstash_delivers(hour, False)  # it has the right time: no message rings in the middle of a look
    await opens_in(clock, opens_at, 3600)
    rows = {email: await hour.prebook(email, opens_at) for email in DIED_S | OTHERS_DIED_S}
    die(hour, opens_at, 3600, 1800)
    await opens_in(clock, opens_at, 1795)
    await all_checked(hour)
    die(hour, opens_at, 1800, 300)
    await opens_in(clock, opens_at, 295)
    await all_checked(hour)
    die(hour, opens_at, 300, 0)
    await clock.set_back(0)
    qstash_delivers(hour, True)

    warnings = {email: (await hour.read(email, row["id"]))["warning"] for email, row in rows.items()}
    assert {email for email, warning in warnings.items() if warning} == set(OTHERS_DIED_S)
    for email in OTHERS_DIED_S:
        assert opens_at - datetime.fromisoformat(warnings[email]["since"]) >= timedelta(minutes=4)
    told = [one["data"]["user_email"] for one in await webhook.wait_for(len(OTHERS_DIED_S), is_dead)]
    assert sorted(told) == sorted(OTHERS_DIED_S)

    ended = {email: await hour.finished(email, rows[email]["id"]) for email in DIED_S}
    assert {email: row["result"]["outcome"] for email, row in ended.items()} == dict.fromkeys(DIED_S, "booked")
    assert sorted(one["username"] for one in logins(hour)) == sorted(DIED_S)


async def all_checked(world: World) -> None:
    """A pass takes a part of them."""
    for _ in range(1 + _MORE // 10):
        await world.services.background_tasks.once()


def is_dead(notice: dict[str, Any]) -> bool:
    return bool(notice["type"] == "session.dead")
