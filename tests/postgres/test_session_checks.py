"""How often AimHarder may be asked about one user's session: exact, however many ask at once."""

import asyncio
from collections import Counter
from uuid import UUID, uuid4

from tests.postgres.functions import NOW, Answer, Functions, Many, seconds

ADMITTED = {"outcome": "admitted"}


async def check(db: Functions, token: UUID | None = None, user: str = "ana@example.com", most: int = 3) -> Answer:
    return await db.call("admit_session_check", user_email=user, token=token or uuid4(), max_per_minute=most)


async def test_within_any_minute_there_are_as_many_as_allowed_and_the_wait_is_told(db: Functions) -> None:
    for second in (0, 10, 20):
        await db.at(NOW + seconds(second))
        assert await check(db, user="Ana@Example.com") == ADMITTED

    await db.at(NOW + seconds(59.5))
    assert await check(db) == {"outcome": "too_many", "retry_after": 0.5}
    assert await check(db, user="bea@example.com") == ADMITTED
    await db.at(NOW + seconds(60))
    assert await check(db) == ADMITTED
    assert await check(db) == {"outcome": "too_many", "retry_after": 10}  # a refusal does not lengthen the wait


async def test_a_repeat_is_the_same_check(db: Functions) -> None:
    token = uuid4()
    assert [await check(db, token, most=1) for _ in range(3)] == [ADMITTED] * 3
    assert (await check(db, most=1))["outcome"] == "too_many"
    assert await check(db, token, user="bea@example.com", most=1) == ADMITTED


async def test_no_more_is_kept_than_the_last_minute_nor_what_a_wrong_clock_wrote(db: Functions) -> None:
    await db.at(NOW + seconds(3600))
    await check(db, most=1)
    for minute in range(5):
        await db.at(NOW + seconds(60 * minute))
        assert await check(db, most=1) == ADMITTED

    assert await db.connection.fetchval("select count(*) from prebooking.session_checks") == 1


async def test_of_thirty_at_once_exactly_as_many_as_allowed_are_admitted(many: Many) -> None:
    tabs = await many(30)
    answers = await asyncio.gather(*(check(tab, most=7) for tab in tabs))

    assert Counter(answer["outcome"] for answer in answers) == {"admitted": 7, "too_many": 23}
