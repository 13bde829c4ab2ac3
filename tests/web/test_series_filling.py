"""The due days of a series are made by whoever comes: the create, the sweep, a delivery, after any death in between."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.support.executions import ANA, deliver
from tests.support.world import Outside, World, open_world
from tests.web.test_series import asked, changed, day, ids, made, rows, wanted, weekday

from prebooking.domain.errors import StoreUnavailableError
from prebooking.domain.series import Series

#: In the place of one: more days are due.
ALL_WEEKDAYS = '{"weekdays": [1, 2, 3, 4, 5, 6, 7]}'


async def read(world: World, series: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await asked(world, "GET", f"/series/{series['id']}")).json()
    return found


async def look_now(world: World) -> None:
    """The instant has come at which somebody looks."""
    await world.database.execute("update public.prebooking_series set look_at = now()")


async def test_a_process_that_dies_before_it_has_filled_leaves_that_to_the_sweep(
    sweepless: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(_: Series) -> Series:
        raise StoreUnavailableError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(sweepless.services.series, "fill", dies)
        series = await made(sweepless)
    assert await rows(sweepless) == []
    again = await asked(sweepless, "POST", "/series", json=wanted())
    assert again.status_code == 200  # and so does who asks again
    assert len(await rows(sweepless)) == 1
    await sweepless.database.execute("delete from public.prebookings")
    await look_now(sweepless)
    await sweepless.services.background_tasks.once()
    assert len(await rows(sweepless)) == 1
    assert ids(await read(sweepless, series))[day(6)]


async def test_a_living_replica_fills_what_is_due(world: World) -> None:
    series = await made(world)
    await world.database.execute("delete from public.prebookings")
    await look_now(world)
    world.services.background_tasks.run_soon()
    async with asyncio.timeout(60):
        while not await rows(world):
            await asyncio.sleep(0.01)
    assert ids(await read(world, series))[day(6)]


async def test_however_long_nobody_ran_all_that_is_due_is_made(sweepless: World) -> None:
    await made(sweepless, weekdays=[1, 2, 3, 4, 5, 6, 7], first_day=day(5), **{"class": {"starts": "23:59"}})
    await sweepless.database.execute("delete from public.prebookings")
    await sweepless.database.execute("update public.prebooking_series set look_at = now() - interval '30 days'")
    await sweepless.services.series.fill_due()
    assert [row["booking_data"]["day"] for row in await rows(sweepless)] == [day(n) for n in range(5, 12)]
    await look_now(sweepless)
    await sweepless.services.series.fill_due()
    assert len(await rows(sweepless)) == 7


async def test_one_that_is_changed_before_it_is_filled_is_filled_as_it_is_now(sweepless: World) -> None:
    series = await made(sweepless)
    before = await sweepless.services.series.read(ANA, UUID(series["id"]))
    assert before is not None
    await sweepless.database.execute(
        "update public.prebooking_series set revision = revision + 1, weekly = weekly || $1", ALL_WEEKDAYS
    )
    now = await sweepless.services.series.fill(before)
    assert now.weekly.weekdays == (1, 2, 3, 4, 5, 6, 7)
    assert len(await rows(sweepless)) == len(now.taken) > 1


async def test_it_is_looked_at_when_the_next_day_becomes_due_and_once_a_day(sweepless: World) -> None:
    async def look_at() -> datetime | None:
        found: datetime | None = await sweepless.database.fetchval("select look_at from public.prebooking_series")
        return found

    now = datetime.now(UTC)
    series = await made(sweepless)
    looked_at = await look_at()
    assert looked_at is not None
    opens_at = datetime.fromisoformat(series["next"][1]["opens_at"])
    at = min(now + timedelta(days=1), opens_at - timedelta(days=8))
    assert abs(looked_at - at) < timedelta(minutes=1)
    await changed(sweepless, series, paused=True)
    assert await look_at() is None
    # The opening of the next one is eight days and some hours away.
    at = (opens_at - timedelta(days=8)).astimezone(UTC)
    if at - now < timedelta(days=1):
        await changed(sweepless, series, paused=False)
        assert await look_at() == at


async def test_where_hosts_sleep_a_delivery_that_found_one_ended_makes_the_next_after_its_answer(
    sweepless: World,
) -> None:
    series = await made(sweepless)
    [row] = await rows(sweepless)
    await sweepless.database.execute("update public.prebookings set status = 'failed', error_code = 'class_full'")
    await sweepless.database.execute("update public.prebooking_series set weekly = weekly || $1", ALL_WEEKDAYS)
    await look_now(sweepless)
    assert (await deliver(sweepless, row["id"])).outcome == "already_finished"
    async with asyncio.timeout(60):
        while len(await rows(sweepless)) == 1:
            await asyncio.sleep(0.01)
    assert list(ids(await read(sweepless, series)).values())[1] is not None


async def test_a_silent_qstash_keeps_no_day_from_being_made(sweepless: World) -> None:
    sweepless.qstash.qstash.faults.change({"api_status": 503})
    series = await made(sweepless)
    [row] = await rows(sweepless)
    assert ids(series)[day(6)] == row["id"]
    assert row["qstash_schedule_id"] is None


async def test_messages_of_what_is_cancelled_are_taken_back(sweepless: World) -> None:
    series = await made(sweepless)
    [message] = sweepless.messages(str(ids(series)[day(6)]))
    assert message.id in sweepless.qstash.qstash.broker.pending
    await changed(sweepless, series, paused=True)
    assert message.id not in sweepless.qstash.qstash.broker.pending


async def test_a_day_that_has_opened_is_booked_by_its_hour_and_its_place_can_be_given_back(sweepless: World) -> None:
    await sweepless.member(ANA)
    sweepless.open_class(-3600, day=day(2), time="07:00 - 08:00")
    series = await made(sweepless, weekdays=[weekday(2)])
    row = await sweepless.finished(ANA, str(ids(series)[day(2)]))
    assert (row["result"]["outcome"], row["series_id"]) == ("booked", series["id"])
    assert sweepless.bookings(ANA) == 1
    answer = await asked(sweepless, "DELETE", f"/prebookings/{row['id']}/booking")
    assert answer.status_code == 200, answer.text
    assert sweepless.bookings(ANA) == 0
    await look_now(sweepless)
    await sweepless.services.series.fill_due()
    now = await read(sweepless, series)
    assert (now["skip"], ids(now)[day(2)]) == ([day(2)], None)
    assert sweepless.booking_requests(ANA) == 1


async def test_giving_the_place_of_a_day_back_skips_it(sweepless: World) -> None:
    series = await made(sweepless)
    row, token = UUID(ids(series)[day(6)]), uuid4()
    await sweepless.database.execute("update public.prebookings set status = 'completed', executed_at = now()")
    await sweepless.services.store.begin_giving_back(row, ANA, token, lease_s=30)
    await sweepless.services.store.end_giving_back(row, token, given_back=True)
    await look_now(sweepless)
    await sweepless.services.series.fill_due()
    assert (await read(sweepless, series))["skip"] == [day(6)]
    assert [row["booking_data"]["day"] for row in await rows(sweepless)] == [day(6), day(13)]


async def test_one_that_cannot_be_filled_keeps_no_other_from_it(
    sweepless: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = await made(sweepless)
    good = await made(sweepless, **{"class": {"starts": "08:00"}})
    await sweepless.database.execute("delete from public.prebookings")
    await look_now(sweepless)
    fill = sweepless.services.series.fill

    async def fails_for_one(series: Series) -> Series:
        if str(series.id) == bad["id"]:
            raise ValueError("no such zone")
        return await fill(series)

    monkeypatch.setattr(sweepless.services.series, "fill", fails_for_one)
    await sweepless.services.series.fill_due()
    assert [row["series_id"] for row in await rows(sweepless)] == [good["id"]]


async def test_a_database_that_is_away_ends_the_pass(sweepless: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await made(sweepless)
    await made(sweepless, **{"class": {"starts": "08:00"}})
    await look_now(sweepless)
    filled: list[UUID] = []

    async def is_away(series: Series) -> Series:
        filled.append(series.id)
        raise StoreUnavailableError("gone")

    monkeypatch.setattr(sweepless.services.series, "fill", is_away)
    with pytest.raises(StoreUnavailableError):
        await sweepless.services.series.fill_due()
    assert len(filled) == 1


async def test_no_batch_is_begun_when_the_time_is_up(sweepless: World) -> None:
    await made(sweepless)
    await sweepless.database.execute("delete from public.prebookings")
    await look_now(sweepless)
    await sweepless.services.series.fill_due(until=0.0)
    assert await rows(sweepless) == []


async def test_two_replicas_side_by_side_make_each_day_once(
    database: asyncpg.Connection, outside: Outside, world: World
) -> None:
    async with open_world(database, *outside, beside=True) as other:
        series = await made(world, weekdays=[1, 2, 3, 4, 5, 6, 7], first_day=day(5))
        for _ in range(5):
            await world.database.execute("delete from public.prebookings")
            await look_now(world)
            for one in (world, other):
                one.services.background_tasks.run_soon()
            await world.services.series.fill_due()
            await other.services.series.fill_due()
            days = [row["booking_data"]["day"] for row in await rows(world)]
            assert len(days) == len(set(days)) >= 6
        assert len([one for one in ids(await read(world, series)).values() if one]) == len(days)
