"""The limits of a user, clicked at from many sessions at once: exact, and nothing deadlocks."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
from tests.postgres.factories import booking_data, failed, prebooking
from tests.postgres.functions import Functions, Many

MOST_CLICKS = 1000  # of a user: some twenty are enough, but that is left to chance
SOON = datetime.now(UTC) + timedelta(hours=1)  # by the real clock


async def active(connection: asyncpg.Connection, email: str = "ana@example.com") -> int:
    count: int = await connection.fetchval(
        "select count(*) from public.prebookings where lower(user_email) = $1 and status in ('pending', 'executing')",
        email,
    )
    return count


async def test_of_thirty_creates_at_once_exactly_as_many_as_allowed_become_rows(many: Many) -> None:
    tabs = await many(30)
    for spelling in ("ana@example.com", "Bea@Example.com"):
        answers = await asyncio.gather(
            *(tab.create(booking_data(), SOON, user_email=spelling, max_active=15, max_per_minute=30) for tab in tabs)
        )
        assert Counter(a["outcome"] for a in answers) == {"created": 15, "too_many": 15}
        assert await active(tabs[0].connection, spelling.lower()) == 15


async def test_of_thirty_creates_at_once_exactly_as_many_as_a_minute_allows_become_rows(many: Many) -> None:
    tabs = await many(30)
    answers = await asyncio.gather(*(tab.create(booking_data(), SOON, max_per_minute=7) for tab in tabs))

    assert Counter(a["outcome"] for a in answers) == {"created": 7, "too_many": 23}


async def test_of_thirty_moves_at_once_exactly_as_many_as_a_minute_allows_are_made(many: Many) -> None:
    tabs = await many(30)
    row = await prebooking(tabs[0], available_at=SOON, created_at=SOON - timedelta(hours=2))
    answers = await asyncio.gather(
        *(tab.reschedule(row, SOON + timedelta(seconds=n + 1), max_per_minute=7) for n, tab in enumerate(tabs))
    )

    assert Counter(a["outcome"] for a in answers) == {"rescheduled": 7, "too_many": 23}
    assert (await tabs[0].row(row))["version"] == 8


async def test_of_many_retries_and_creates_at_once_exactly_as_many_as_allowed_wait(many: Many) -> None:
    tabs = await many(16)
    rows = [await prebooking(tabs[0], available_at=SOON, **failed()) for _ in range(8)]
    answers = await asyncio.gather(
        *(tab.retry(row, max_active=5) for tab, row in zip(tabs[:8], rows, strict=True)),
        *(tab.create(booking_data(), SOON, max_active=5) for tab in tabs[8:]),
    )

    assert Counter(a["outcome"] == "too_many" for a in answers) == {True: 11, False: 5}
    assert await active(tabs[0].connection) == 5


async def test_whatever_else_goes_on_the_limit_holds_and_nothing_deadlocks(many: Many) -> None:
    """The clicks of one user beside the claims of replicas, all on the same few rows."""
    workers = await many(16)
    due = datetime.now(UTC) - timedelta(seconds=1)
    wishes = [booking_data() for _ in range(8)]
    ids: list[UUID] = []
    outcomes: Counter[str] = Counter()
    wanted = {"created", "retried", "too_many", "cancelled"}  # each has happened, or nothing is shown
    most = clicking = 0

    async def click(user: Functions, dice: random.Random) -> None:
        nonlocal clicking
        clicking += 1
        clicks = 0
        while clicks < 25 or (clicks < MOST_CLICKS and not wanted <= outcomes.keys()):
            clicks += 1
            if not ids or dice.random() < 0.5:
                answer = await user.create(dice.choice(wishes), due, max_active=4)
                if answer["outcome"] == "created":
                    ids.append(UUID(answer["prebooking"]["id"]))
            elif dice.random() < 0.7:
                answer = await user.retry(dice.choice(ids), max_active=4)
            else:
                answer = await user.cancel(dice.choice(ids))
            outcomes[answer["outcome"]] += 1
        clicking -= 1

    async def execute(replica: Functions, dice: random.Random) -> None:
        nonlocal most
        while clicking:
            if ids:
                row, token = dice.choice(ids[-8:]), uuid4()
                if (await replica.claim(row, token))["outcome"] == "claimed":
                    await replica.begin(row, token)
                    await replica.finish(row, token, "class_full")
            most = max(most, await active(replica.connection))

    await asyncio.gather(
        *(click(user, random.Random(seed)) for seed, user in enumerate(workers[:8])),
        *(execute(replica, random.Random(seed)) for seed, replica in enumerate(workers[8:])),
    )

    assert most <= 4
    assert wanted <= outcomes.keys()
