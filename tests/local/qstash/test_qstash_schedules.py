"""Schedules, and the cron expressions that drive them."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from qstash.errors import QStashError
from qstash.schedule import ScheduleState
from tests.local.qstash.qstash_world import World

from prebooking_local.qstash.cron import parse_cron
from prebooking_local.qstash.refusal import RefusedError


async def create(world: World, path: str = "/sweep", cron: str = "* * * * *", schedule_id: str = "sweep") -> str:
    world.clock.now = world.clock.now // 60 * 60 + 30
    return await world.sdk.schedule.create_json(
        destination=world.target.url + path, cron=cron, schedule_id=schedule_id, body={"n": 1}, retries=1
    )


async def test_a_schedule_rings_every_minute_under_its_id(world: World) -> None:
    assert await create(world, "/sweep?x=1") == "sweep"
    for count in (1, 2):
        world.clock.advance(60)
        delivery = (await world.target.received(count))[-1]
    assert delivery.line == "POST /sweep?x=1 HTTP/1.1"
    assert delivery.headers["upstash-schedule-id"] == "sweep"
    assert delivery.body == b'{"n": 1}'
    assert delivery.claims["sub"] == world.target.url + "/sweep?x=1"


async def test_a_schedule_reads_back(world: World) -> None:
    await create(world, cron="CRON_TZ=Europe/Madrid 0 7 * * 1-5")
    (schedule,) = await world.sdk.schedule.list()
    assert schedule == await world.sdk.schedule.get("sweep")
    assert (schedule.destination, schedule.method) == (world.target.url + "/sweep", "POST")
    assert (schedule.cron, schedule.retries) == ("CRON_TZ=Europe/Madrid 0 7 * * 1-5", 1)
    assert schedule.created_at == round(world.clock.now * 1000)
    assert schedule.next_schedule_time is not None
    assert datetime.fromtimestamp(schedule.next_schedule_time / 1000, ZoneInfo("Europe/Madrid")).hour == 7
    assert (schedule.paused, schedule.last_schedule_time, schedule.last_schedule_states) == (False, None, None)


async def test_a_schedule_tells_what_became_of_its_last_message(world: World) -> None:
    await create(world)
    world.clock.advance(60)
    (delivery,) = await world.target.received()
    message_id = delivery.headers["upstash-message-id"]
    await world.reaches(message_id, "delivered")
    schedule = await world.sdk.schedule.get("sweep")
    assert schedule.last_schedule_time == round(world.clock.now * 1000)
    assert schedule.last_schedule_states == {message_id: ScheduleState.SUCCESS}


async def test_the_same_id_replaces_the_schedule(world: World) -> None:
    await create(world, "/old")
    await create(world, "/new")
    world.clock.advance(60)
    assert [one.path for one in await world.target.received()] == ["/new"]
    assert len(await world.sdk.schedule.list()) == 1


@pytest.mark.parametrize("method", ["PATCH", "POST"])
async def test_a_paused_schedule_is_silent_until_resumed(world: World, method: str) -> None:
    await create(world, "/paused", schedule_id="a")
    await create(world, "/other", schedule_id="b")
    (await world.http.request(method, "/v2/schedules/a/pause")).raise_for_status()
    assert (await world.sdk.schedule.get("a")).paused
    world.clock.advance(60)
    assert [one.path for one in await world.target.received()] == ["/other"]
    (await world.http.request(method, "/v2/schedules/a/resume")).raise_for_status()
    world.clock.advance(60)
    assert {one.path for one in (await world.target.received(3))[1:]} == {"/paused", "/other"}


async def test_a_deleted_schedule_is_gone(world: World) -> None:
    await create(world, "/deleted", schedule_id="a")
    await create(world, "/other", schedule_id="b")
    await world.sdk.schedule.delete("a")
    for call in (world.sdk.schedule.get, world.sdk.schedule.delete, world.sdk.schedule.pause):
        with pytest.raises(QStashError, match="status: 404"):
            await call("a")
    world.clock.advance(60)
    assert [one.path for one in await world.target.received()] == ["/other"]


@pytest.mark.parametrize("cron", ["* * * *", "60 * * * *", "* * 31 2 *", "*/0 * * * *", "CRON_TZ=Mars/X * * * * *"])
async def test_a_cron_that_makes_no_sense_is_refused(world: World, cron: str) -> None:
    with pytest.raises(QStashError, match="status: 400"):
        await create(world, cron=cron)


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("* * * * *", "2026-01-01T00:00:00+00:00", "2026-01-01T00:01:00+00:00"),
        ("*/15 * * * *", "2026-01-01T00:46:00+00:00", "2026-01-01T01:00:00+00:00"),
        ("5,10-12 3 * * *", "2026-01-01T03:10:30+00:00", "2026-01-01T03:11:00+00:00"),
        ("0 0 29 feb *", "2026-01-01T00:00:00+00:00", "2028-02-29T00:00:00+00:00"),
        ("0 0 * * sun", "2026-01-01T00:00:00+00:00", "2026-01-04T00:00:00+00:00"),
        ("0 0 * * 7", "2026-01-01T00:00:00+00:00", "2026-01-04T00:00:00+00:00"),
        ("0 0 3 * mon", "2026-01-01T00:00:00+00:00", "2026-01-03T00:00:00+00:00"),
        ("0 0 10 * mon", "2026-01-01T00:00:00+00:00", "2026-01-05T00:00:00+00:00"),
        ("CRON_TZ=Europe/Madrid 0 7 * * *", "2026-07-01T00:00:00+00:00", "2026-07-01T05:00:00+00:00"),
        ("CRON_TZ=Asia/Kolkata 30 9 * * *", "2026-07-01T00:00:00+00:00", "2026-07-01T04:00:00+00:00"),
        # The clock change of that night leaves out 02:30, and the next morning repeats nothing.
        ("CRON_TZ=Europe/Madrid 30 2 * * *", "2026-03-28T12:00:00+00:00", "2026-03-30T00:30:00+00:00"),
        ("CRON_TZ=Europe/Madrid * * * * *", "2026-10-25T00:59:00+00:00", "2026-10-25T01:00:00+00:00"),
    ],
)
def test_a_cron_expression_names_its_next_minute(cron: str, after: str, expected: str) -> None:
    instant = parse_cron(cron).next_after(datetime.fromisoformat(after).timestamp())
    assert instant == datetime.fromisoformat(expected).timestamp()


def test_a_field_outside_its_range_is_refused() -> None:
    with pytest.raises(RefusedError, match="not within 0-23"):
        parse_cron("0 5-24 * * *")
