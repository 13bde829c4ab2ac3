"""What one user may ask for, over HTTP: the refusal says which limit it is, and what to do."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.world import Outside, World, open_world

ANA = "ana@example.com"
SOON = datetime.now(UTC) + timedelta(hours=5)

FAIL = "update public.prebookings set status = 'failed', error_code = 'class_full' where id = $1"


@pytest.fixture
async def strict(database: asyncpg.Connection, outside: Outside) -> AsyncIterator[World]:
    """Two may wait, four be made within a minute."""
    async with open_world(
        database, *outside, sweep_seconds=0, max_active_prebookings=2, max_creates_per_minute=4
    ) as running:
        yield running


async def create(world: World, class_id: int, headers: dict[str, str] | None = None) -> httpx.Response:
    body = world.wish(SOON, class_id=class_id)
    return await world.http.post("/prebookings", headers=headers or world.speaking_for(ANA), json=body)


async def retry(world: World, row: dict[str, Any]) -> httpx.Response:
    return await world.http.post(f"/prebookings/{row['id']}/retry", headers=world.speaking_for(ANA))


async def cancel(world: World, row: dict[str, Any]) -> None:
    answer = await world.http.delete(f"/prebookings/{row['id']}", headers=world.speaking_for(ANA))
    assert answer.status_code == 200


def assert_too_many_wait(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == (
        "You have 2 active prebookings, the maximum: cancel one, or wait until one has ended."
    )
    assert "retry-after" not in answer.headers  # no time lifts it


def assert_too_many_in_a_minute(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many")
    seconds = int(answer.headers["retry-after"])
    assert 1 <= seconds <= 60
    assert answer.json()["detail"] == (
        f"You created, rescheduled or retried 4 prebookings within a minute, the maximum: try again in {seconds} s."
    )


async def test_one_too_many_is_refused_without_a_row_or_message_until_there_is_room(strict: World) -> None:
    first, _ = [await create(strict, class_id) for class_id in (1, 2)]
    messages = dict(strict.qstash.qstash.broker.pending)

    assert_too_many_wait(await create(strict, 3))
    assert await strict.database.fetchval("select count(*) from public.prebookings") == 2
    assert strict.qstash.qstash.broker.pending == messages
    assert (await create(strict, 1)).status_code == 200  # the same wish again is answered as ever
    await cancel(strict, first.json())
    assert (await create(strict, 3)).status_code == 201


async def test_too_many_within_a_minute_are_refused_and_the_wait_is_told(strict: World) -> None:
    for class_id in range(4):
        answer = await create(strict, class_id)
        assert answer.status_code == 201
        await cancel(strict, answer.json())

    assert_too_many_in_a_minute(await create(strict, 5))
    aged = (
        "update public.prebookings set created_at = created_at - interval '1 minute' where booking_data ->> 'id' = '0'"
    )
    await strict.database.execute(aged)
    assert (await create(strict, 5)).status_code == 201


async def test_a_retry_is_refused_as_a_create_is(strict: World) -> None:
    failed = (await create(strict, 1)).json()
    await strict.database.execute(FAIL, failed["id"])
    waiting = [(await create(strict, class_id)).json() for class_id in (2, 3)]

    assert_too_many_wait(await retry(strict, failed))
    await cancel(strict, waiting[0])
    assert (await retry(strict, failed)).status_code == 200
    await strict.database.execute(FAIL, failed["id"])
    assert_too_many_in_a_minute(await retry(strict, failed))
    assert (await strict.read(ANA, failed["id"]))["status"] == "failed"


async def test_a_move_orders_a_message_so_it_counts_as_a_create_does(strict: World) -> None:
    row = (await create(strict, 1)).json()

    async def move(minutes: int) -> httpx.Response:
        body = {"available_at": (SOON + timedelta(minutes=minutes)).isoformat()}
        return await strict.http.patch(f"/prebookings/{row['id']}", headers=strict.speaking_for(ANA), json=body)

    assert [(await move(minutes)).status_code for minutes in (1, 2, 3)] == [200] * 3
    ordered = len(strict.messages(row["id"]))
    assert_too_many_in_a_minute(await move(4))
    assert_too_many_in_a_minute(await create(strict, 2))
    assert (await move(3)).status_code == 200  # a repeat of the last one moves nothing
    assert len(strict.messages(row["id"])) == ordered
    assert (await strict.read(ANA, row["id"]))["version"] == 4


async def test_a_user_has_one_limit_whoever_speaks_for_them(strict: World) -> None:
    token = {"Authorization": f"Bearer {strict.gateway.auth.access_token('Ana@Example.com')}"}
    assert (await create(strict, 1, token)).status_code == 201
    assert (await create(strict, 2, strict.speaking_for("ANA@example.com"))).status_code == 201

    assert_too_many_wait(await create(strict, 3, token))
    assert_too_many_wait(await create(strict, 3, strict.speaking_for(ANA)))
    assert (await create(strict, 3, strict.speaking_for("bo@example.com"))).status_code == 201


async def test_of_thirty_clicks_at_once_fifteen_become_rows(sweepless: World) -> None:
    answers = await asyncio.gather(*(create(sweepless, class_id) for class_id in range(30)))

    assert Counter(answer.status_code for answer in answers) == {201: 15, 429: 15}
    assert await sweepless.database.fetchval("select count(*) from public.prebookings") == 15
