"""Users are told what became of their prebookings: once each, signed, by QStash, whatever fails in between."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from tests.support.executions import ANA, BOOK, WHOAMI, at_gym, inject_fault, prebook_open_class, sweep
from tests.support.signing import deliver
from tests.support.webhook_receiver import Receiver
from tests.support.world import Outside, World, open_world

FAILED = "/qstash/notice-failed"


@pytest.fixture
async def telling(database: asyncpg.Connection, outside: Outside, webhook: Receiver) -> AsyncIterator[World]:
    """One replica that lives."""
    async with open_world(database, *outside, **webhook.settings) as running:
        yield running


@pytest.fixture
async def asleep(database: asyncpg.Connection, outside: Outside, webhook: Receiver) -> AsyncIterator[World]:
    """One on a host that sleeps between requests."""
    async with open_world(database, *outside, **webhook.settings, sweep_seconds=0) as running:
        yield running


async def untold(world: World) -> int:
    found: int = await world.database.fetchval("select count(*) from prebooking.notices where told_at is null")
    return found


async def anew(world: World) -> None:
    """As if the minute had passed for which nobody else gets a notice."""
    await world.database.execute("update prebooking.notices set try_after = now()")


async def test_a_booking_is_told_with_class_hour_and_milliseconds(telling: World, webhook: Receiver) -> None:
    row = await prebook_open_class(
        telling, activityName="WOD", boxName="Box Gràcia", classTimeUTC="2099-11-24T08:00:00Z"
    )
    (told,) = await webhook.wait_for(1)
    late = (await telling.read(ANA, row["id"]))["result"]["timings"]["fire_lateness_ms"]
    assert told["type"] == "prebooking.booked"
    assert told["title"] == "Booked: WOD, Tue 24 Nov 09:00"
    assert told["text"].startswith("You are booked into WOD, Tue 24 Nov 09:00 at Box Gràcia. The request left ")
    assert told["text"].endswith(" ms.")
    assert (told["data"]["prebooking_id"], told["data"]["user_email"]) == (row["id"], ANA)
    assert (told["data"]["outcome"], told["data"]["fire_lateness_ms"]) == ("booked", late)


@pytest.mark.parametrize(
    ("language", "title", "text"),
    [
        ("en", "Not booked: class, ", "The class was full. (Clase completa"),
        ("es", "Sin reserva: clase, ", "La clase estaba llena. (Clase completa"),
        ("ca", "Sense reserva: classe, ", "La classe era plena. (Clase completa"),
    ],
)
async def test_a_failure_is_told_with_its_reason_in_the_readers_language(
    database: asyncpg.Connection, outside: Outside, webhook: Receiver, language: str, title: str, text: str
) -> None:
    async with open_world(database, *outside, **webhook.settings, notify_language=language) as world:
        await world.member(ANA)
        await world.prebook(ANA, world.open_class(capacity=0))
        (told,) = await webhook.wait_for(1)
        assert told["type"] == "prebooking.failed"
        assert told["title"].startswith(title)
        assert text.partition(" (")[0] in told["text"]


async def test_a_place_on_the_waiting_list_is_told_as_such(telling: World, webhook: Receiver) -> None:
    await telling.member(ANA)
    await telling.prebook(ANA, telling.open_class(capacity=0), insist=1)
    (told,) = await webhook.wait_for(1)
    assert (told["type"], told["title"].partition(":")[0]) == ("prebooking.waiting_list", "Waiting list")


async def test_what_ends_without_an_execution_is_told_too(asleep: World, webhook: Receiver) -> None:
    asleep.qstash.qstash.faults.change({"lost": True})
    row = await prebook_open_class(asleep)
    asleep.qstash.qstash.faults.clear()
    await asleep.database.execute(
        "update public.prebookings set give_up_at = now() - interval '1 s', armed_at = now() - interval '11 s'"
    )
    await sweep(asleep)
    await asleep.services.background_tasks.once()
    (told,) = await webhook.wait_for(1)
    assert (told["data"]["prebooking_id"], told["data"]["outcome"]) == (row["id"], "expired")


async def test_a_host_that_sleeps_tells_before_it_answers(asleep: World, webhook: Receiver) -> None:
    await prebook_open_class(asleep)
    await webhook.wait_for(1)
    assert await untold(asleep) == 0


async def test_a_crash_between_the_end_and_the_telling_loses_nothing(asleep: World, webhook: Receiver) -> None:
    """The replica that ended it could not publish; another's sweep does."""

    async def died(within_s: float) -> None: ...

    asleep.services.background_tasks.before_sleeping = died  # type: ignore[method-assign]
    row = await prebook_open_class(asleep)
    await asleep.finished(ANA, row["id"])
    assert await untold(asleep) == 1
    await asleep.services.background_tasks.once()
    await webhook.wait_for(1)
    assert await untold(asleep) == 0


async def test_a_crash_after_publishing_tells_it_once(asleep: World, webhook: Receiver) -> None:
    row = await prebook_open_class(asleep)
    await asleep.finished(ANA, row["id"])
    await webhook.wait_for(1)
    await asleep.database.execute("update prebooking.notices set told_at = null, message_id = null")
    await anew(asleep)
    await asleep.services.background_tasks.once()
    assert await untold(asleep) == 0
    await prebook_next(asleep)
    await webhook.wait_for(2)  # the next one; a repeat of the first would have come before it
    assert len(set(webhook.ids)) == len(webhook.ids) == 2


async def prebook_next(world: World) -> dict[str, Any]:
    return await world.prebook(ANA, world.open_class(class_id=502), id=502)


async def test_when_qstash_is_down_it_is_told_later(asleep: World, webhook: Receiver) -> None:
    row = await prebook_open_class(asleep)
    await webhook.wait_for(1)
    await asleep.database.execute("update prebooking.notices set told_at = null, key = key || 'b', failures = 9")
    await anew(asleep)
    asleep.qstash.qstash.faults.change({"api_status": {"value": 503}})
    await asleep.services.background_tasks.once()
    assert await untold(asleep) == 1
    asleep.qstash.qstash.faults.clear()
    asleep.services.sweeper._breaker._accepted()  # it waits five seconds after a refusal
    await asleep.services.background_tasks.once()  # somebody has it for a minute
    assert await untold(asleep) == 1
    await anew(asleep)
    await asleep.services.background_tasks.once()
    assert [told["data"]["prebooking_id"] for told in await webhook.wait_for(2)] == [row["id"]] * 2


async def test_a_webhook_that_qstash_refuses_is_tried_a_few_times_a_minute_and_keeps_no_prebooking_waiting(
    asleep: World,
) -> None:
    await asleep.database.execute(
        "insert into prebooking.notices (key, kind, prebooking, created_at, try_after)"
        " select n::text, 'failed', $1, now(), now() from generate_series(1, 20) n",
        json.dumps(await asleep.prebook(ANA, datetime.now(UTC) + timedelta(hours=1))),
    )
    asleep.qstash.qstash.faults.change({"api_status": {"value": 400, "next": 99}})
    for _ in range(3):
        await anew(asleep)
        await asleep.services.background_tasks.once()
    left = asleep.qstash.qstash.faults.api_status
    assert left is not None
    assert left.next == 99 - 3
    assert not asleep.services.sweeper._breaker.paused


async def test_two_replicas_publish_different_ones(asleep: World, webhook: Receiver) -> None:
    first, second = asleep.services.store, asleep.services.store
    await prebook_open_class(asleep)
    await webhook.wait_for(1)
    while await untold(asleep):  # the receiver hears it before that is written down
        await asyncio.sleep(0.01)
    await asleep.database.execute("update prebooking.notices set told_at = null, try_after = now()")
    assert (len(await first.take_notices()), len(await second.take_notices())) == (1, 0)


async def test_a_receiver_that_fails_is_tried_again_and_then_told_anew_under_the_same_id(
    asleep: World, webhook: Receiver
) -> None:
    webhook.statuses = [500] * 6
    await prebook_open_class(asleep)
    await webhook.wait_for(6)
    query = "select failures, failure from prebooking.notices"
    async for _ in ticks():
        failures, failure = await asleep.database.fetchrow(query)
        if failures:
            break
    assert failure.startswith("QStash gave up: HTTP 500")
    assert await untold(asleep) == 1
    await anew(asleep)
    await asleep.services.background_tasks.once()
    await webhook.wait_for(7)
    assert len(set(webhook.ids)) == 1


async def ticks() -> AsyncIterator[None]:

    async with asyncio.timeout(60):
        while True:
            yield
            await asyncio.sleep(0.02)


async def test_a_repeated_or_unknown_failure_is_nothing_to_note(asleep: World) -> None:
    answer = await deliver(asleep, FAILED, b'{"sourceMessageId": "msg_unknown", "status": 500, "body": ""}')
    assert (answer.status_code, answer.json()) == (200, {"outcome": "nothing_to_note"})
    assert (await deliver(asleep, FAILED, b'{"sourceMessageId": "../x"}')).status_code == 489


async def test_news_of_yesterday_are_not_told(asleep: World, webhook: Receiver) -> None:
    """A webhook that is set up later is not flooded."""
    row = await prebook_open_class(asleep)
    await asleep.finished(ANA, row["id"])
    await webhook.wait_for(1)
    await asleep.database.execute(
        "update prebooking.notices set told_at = null, created_at = now() - interval '25 hours', try_after = now()"
    )
    assert await asleep.services.store.take_notices() == []


async def test_the_query_of_the_webhooks_url_arrives_as_it_was_set(
    database: asyncpg.Connection, outside: Outside, webhook: Receiver
) -> None:
    """For receivers that make a push message of any JSON by a template, such as ntfy."""
    url = f"{webhook.url}?tpl=1&t=%7B%7B.title%7D%7D&m=%7B%7B.text%7D%7D"
    async with open_world(database, *outside, **(webhook.settings | {"notify_webhook_url": url})) as world:
        await prebook_open_class(world)
        await webhook.wait_for(1)
    assert dict(webhook.queries[0]) == {"tpl": "1", "t": "{{.title}}", "m": "{{.text}}"}


async def test_nobody_is_told_without_a_url_and_every_one_of_ours_is_kept(world: World) -> None:
    inject_fault(world, "status", BOOK, status=503)
    row = await prebook_open_class(world)
    await world.finished(ANA, row["id"])
    assert await untold(world) == 1


async def test_the_old_crons_ends_are_its_own_to_tell(asleep: World) -> None:
    row = await asleep.prebook(ANA, datetime.now(UTC) + timedelta(hours=1))
    await asleep.database.execute(
        """update public.prebookings set status = 'completed', result = '{"success": true}' where id = $1""", row["id"]
    )
    assert await untold(asleep) == 0


async def test_a_silent_account_host_delays_no_notice_however_many_sessions_are_due(
    telling: World, webhook: Receiver
) -> None:
    inject_fault(telling, "hang", WHOAMI, times=None)
    await telling.member("bea@example.com")
    due = telling.open_class(1200, class_id=900)
    for number in range(60):
        email = f"member{number}@example.com"
        await telling.member(email)
        await telling.prebook(email, due, id=900)
    telling.services.background_tasks.run_soon()
    await at_gym(telling, WHOAMI)  # the looks are under way
    rows = [await prebook_open_class(telling)]
    rows.append(await telling.prebook("bea@example.com", telling.open_class(class_id=901), id=901))
    for row in rows:
        await telling.finished(row["user_email"], row["id"])
    async with asyncio.timeout(5):
        await webhook.wait_for(2)
