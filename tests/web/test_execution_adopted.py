"""Rows that the web application and its old cron have written."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from tests.support.executions import ANA, book, bookings_asked, deliver, sweep
from tests.support.world import BOX, CLASS_ID, Outside, World, open_world

from prebooking_local.qstash.message import Message, State

LEGACY: dict[str, Any] = {"legacy_box_subdomain": BOX.slug, "legacy_box_aimharder_id": str(BOX.boid)}


async def adopted(world: World, data: dict[str, Any] | None = None, **columns: Any) -> dict[str, Any]:
    """A row as the web application writes it, for a class that is open."""
    await world.member(ANA)
    opens_at = world.open_class()
    wish = {"day": world.day(opens_at), "familyId": "", "id": str(CLASS_ID), "insist": 0} if data is None else data
    values = {"user_email": "Ana@Example.com", "booking_data": json.dumps(wish), "available_at": opens_at} | columns
    names, marks = ", ".join(values), ", ".join(f"${n}" for n in range(1, len(values) + 1))
    row = await world.database.fetchval(
        f"insert into public.prebookings ({names}) values ({marks}) returning id", *values.values()
    )
    await world.database.execute("update public.prebookings set created_at = now() - interval '1 h'")
    return {"id": str(row)}


async def carrying_a_message(world: World) -> tuple[dict[str, Any], Message]:
    """One that waits in the future, with the message that the web application published for it."""
    await world.member(ANA)
    other = await world.prebook(ANA, world.open_class(3600, class_id=502), id=502)
    (carried,) = world.messages(other["id"])
    later = datetime.now(UTC) + timedelta(hours=2)
    return await adopted(world, available_at=later, qstash_schedule_id=carried.id, status="loaded"), carried


async def swept(world: World, row: dict[str, Any]) -> dict[str, Any]:
    await sweep(world)
    return await world.read(ANA, row["id"])


@pytest.mark.parametrize("status", ["pending", "loaded"])
async def test_a_row_that_names_no_box_is_booked_at_the_one_of_the_settings(
    database: asyncpg.Connection, outside: Outside, status: str
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, **LEGACY) as world:
        row = await swept(world, await adopted(world, status=status))
        assert (row["status"], row["result"]["outcome"]) == ("completed", "booked")


async def test_a_row_that_names_its_box_by_the_web_applications_table_is_booked_there(sweepless: World) -> None:
    box_id = uuid4()
    await sweepless.database.execute("create table public.boxes (id uuid primary key, box_id text, subdomain text)")
    try:
        await sweepless.database.execute("grant select on public.boxes to service_role")
        await sweepless.database.execute("insert into public.boxes values ($1, '7', 'mygym')", box_id)
        row = await swept(sweepless, await adopted(sweepless, box_id=box_id))
    finally:
        await sweepless.database.execute("drop table public.boxes")
    assert (row["status"], row["result"]["outcome"]) == ("completed", "booked")


async def test_without_any_box_it_fails_as_such(sweepless: World) -> None:
    row = await swept(sweepless, await adopted(sweepless))
    assert (row["status"], row["error_code"]) == ("failed", "box_unknown")


@pytest.mark.parametrize("data", [{}, {"day": "tomorrow", "id": "501"}, {"day": "20990101", "id": "", "insist": 0}])
async def test_without_a_class_it_fails_as_unusable(
    database: asyncpg.Connection, outside: Outside, data: dict[str, Any]
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, **LEGACY) as world:
        row = await swept(world, await adopted(world, data))
        assert (row["status"], row["error_code"]) == ("failed", "unusable")
        assert not bookings_asked(world)


async def test_what_the_old_cron_was_executing_is_settled_two_minutes_after_its_opening(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, **LEGACY) as world:
        row = await adopted(world, status="executing")
        assert (await deliver(world, row["id"])).outcome == "held"
        book(world)  # by the cron
        await world.database.execute("update public.prebookings set available_at = now() - interval '121 s'")
        row = await swept(world, row)
        assert (row["status"], row["result"]["outcome"]) == ("completed", "booked")
        assert not bookings_asked(world)


async def test_what_is_long_over_is_ended_untouched_by_the_gym(sweepless: World) -> None:
    row = await adopted(sweepless, {"day": "20200101", "id": "501"})
    row = await swept(sweepless, row)
    assert (row["status"], row["error_code"]) == ("failed", "expired")
    assert not sweepless.gym.ledger.entries
    assert (
        await sweepless.database.fetchval("select count(*) from prebooking.notices") == 0
    )  # years later it is no news


async def test_one_that_waits_in_the_future_gets_a_message_in_place_of_the_one_it_carried(sweepless: World) -> None:
    row, carried = await carrying_a_message(sweepless)
    now = await swept(sweepless, row)
    (message,) = sweepless.messages(row["id"])
    assert (now["qstash_schedule_id"], message.state) == (message.id, State.WAITING)
    assert carried.state is State.CANCELLED


async def test_its_own_message_is_not_noted_before_the_one_it_carried_is_gone(sweepless: World) -> None:
    """That one would have the web application book beside us."""
    row, carried = await carrying_a_message(sweepless)
    sweepless.qstash.qstash.faults.change({"api_status": {"value": 500, "on": "cancel", "next": 9}})
    assert (await swept(sweepless, row))["qstash_schedule_id"] == carried.id
    sweepless.qstash.qstash.faults.clear()
    sweepless.services.sweeper._breaker._accepted()  # it waits five seconds after a refusal
    now = await swept(sweepless, row)
    (message,) = sweepless.messages(row["id"])
    assert (now["qstash_schedule_id"], carried.state) == (message.id, State.CANCELLED)
