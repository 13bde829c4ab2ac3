"""Series under real concurrency: whoever asks at once, a day is made once, and nobody waits in a ring."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.postgres.functions import Answer, Functions, Many, until_waiting
from tests.postgres.weekly import ANA, change, due, end, fill, make_series, read

Work = Callable[[Functions, dict[str, Any]], Coroutine[Any, Any, Answer]]
TOMORROW = datetime.now(UTC) + timedelta(days=1)


async def rows_of(db: Functions, series: dict[str, Any]) -> list[tuple[str, str]]:
    found = await db.connection.fetch(
        "select booking_data ->> 'day' as day, status from public.prebookings where series_id = $1 order by 1",
        UUID(series["id"]),
    )
    return [(row["day"], row["status"]) for row in found]


async def test_many_who_fill_at_once_make_each_day_once(many: Many) -> None:
    dbs = await many(8)
    series = await make_series(dbs[0])
    answers = await asyncio.gather(*(fill(db, series, due(), due(1), look_at=TOMORROW) for db in dbs))
    assert sorted(answer["outcome"] for answer in answers) == ["filled", *["stale"] * 7]
    assert [status for _, status in await rows_of(dbs[0], series)] == ["pending", "pending"]


async def test_series_that_are_filled_at_once_make_no_more_than_there_is_room_for(many: Many) -> None:
    dbs = await many(6)
    series = [await make_series(db, name=f"{place}") for place, db in enumerate(dbs)]
    answers = await asyncio.gather(
        *(fill(db, one, due(), look_at=TOMORROW, most=2) for db, one in zip(dbs, series, strict=True))
    )
    assert sum(len(answer["made"]) for answer in answers) == 2


async def test_the_index_alone_would_keep_a_day_from_being_made_twice(many: Many) -> None:
    (db,) = await many(1)
    series = await make_series(db)
    (row,) = (await fill(db, series, due(), look_at=TOMORROW))["made"]
    twin = (
        "insert into public.prebookings (user_email, booking_data, available_at, series_id)"
        " select user_email, booking_data, available_at, series_id from public.prebookings where id = $1"
    )
    refused = False
    try:
        await db.connection.execute(twin, UUID(row["id"]))
    except Exception as exc:  # noqa: BLE001  # judged by its constraint
        refused = "prebookings_of_series" in str(exc)
    assert refused


async def test_equal_series_that_are_made_at_once_are_one(many: Many) -> None:
    dbs = await many(6)
    weekly = (await make_series(dbs[0], name="Other"))["weekly"] | {"name": "New"}
    answers = await asyncio.gather(
        *(db.call("create_series", id=uuid4(), user_email=ANA, weekly=weekly, most=20) for db in dbs)
    )
    assert sorted(answer["outcome"] for answer in answers) == ["created", *["existing"] * 5]
    assert len({answer["series"]["id"] for answer in answers}) == 1


async def test_a_series_that_is_being_made_counts_for_who_makes_another_at_once(many: Many) -> None:
    first, second = await many(2)
    async with first.connection.transaction():
        weekly = (await make_series(first))["weekly"] | {"name": "Other"}
        waiting = asyncio.create_task(second.call("create_series", id=uuid4(), user_email=ANA, weekly=weekly, most=1))
        await until_waiting(second, for_=first)
    assert (await waiting)["outcome"] == "too_many"


@pytest.mark.parametrize("work", [end, change])
async def test_who_changes_a_series_waits_for_the_users_turn_first(many: Many, work: Work) -> None:
    """As whoever fills one does: in another order the two would wait for each other."""
    filling, changing = await many(2)
    series = await make_series(filling)
    async with filling.connection.transaction():
        await filling.connection.execute("select prebooking.take_turn($1)", ANA)
        waiting = asyncio.create_task(work(changing, series))
        await until_waiting(changing, for_=filling)
        await filling.connection.execute(
            "select from public.prebooking_series where id = $1 for update nowait", UUID(series["id"])
        )
    assert (await waiting)["outcome"] in {"ended", "changed"}


async def test_a_day_that_is_cancelled_while_others_fill_and_change_is_not_made_again(many: Many) -> None:
    """The user's cancel is confirmed; whatever runs at the same time, the day stays without a prebooking."""
    dbs = await many(4)
    for _ in range(15):
        series = await make_series(dbs[0], name=uuid4().hex)
        day = due()
        filled = await fill(dbs[0], series, day, look_at=TOMORROW)
        row = UUID(day["id"])

        async def fill_again(db: Functions, series: dict[str, Any] = series) -> Answer:
            now = await read(db, series)
            days = [] if now["taken"] or now["skip"] else [due()]
            return await fill(db, now, *days, look_at=TOMORROW)

        answers = await asyncio.gather(
            dbs[0].cancel(row),
            fill_again(dbs[1]),
            fill_again(dbs[2]),
            change(dbs[3], filled["series"], skip=["20990401"], cancel=[]),
        )
        assert answers[0]["outcome"] == "cancelled"
        assert await rows_of(dbs[0], series) == [(day["day"], "cancelled")]
        assert day["day"] in (await read(dbs[0], series))["skip"]
        await end(dbs[0], series)


@pytest.mark.parametrize("how", ["cancel", "give back"])
async def test_who_ends_a_day_takes_the_series_before_its_prebooking(many: Many, how: str) -> None:
    """As a change does: so it waits for that without holding what the change needs next."""
    changing, ending = await many(2)
    series = await make_series(changing)
    (row,) = (await fill(changing, series, due(), look_at=TOMORROW))["made"]
    row_id, token = UUID(row["id"]), uuid4()
    if how == "give back":
        done = "update public.prebookings set status = 'completed', executed_at = now() where id = $1"
        await changing.connection.execute(done, row_id)
        await changing.call("begin_giving_back", id=row_id, user_email=ANA, token=token, lease_seconds=30)
    async with changing.connection.transaction():
        await changing.connection.execute(
            "select from public.prebooking_series where id = $1 for update", UUID(series["id"])
        )
        work = ending.cancel(row_id) if how == "cancel" else _given_back(ending, row_id, token)
        waiting = asyncio.create_task(work)
        await until_waiting(ending, for_=changing)
        await changing.connection.execute("select from public.prebookings where id = $1 for update nowait", row_id)
    assert (await waiting)["outcome"] in {"cancelled", "given_back"}
    assert (await read(changing, series))["skip"] == [row["booking_data"]["day"]]


async def _given_back(db: Functions, row_id: UUID, token: UUID) -> Answer:
    return await db.call("end_giving_back", id=row_id, token=token, given_back=True)


async def test_ends_changes_cancels_and_places_given_back_wait_for_each_other_in_one_order(many: Many) -> None:
    """A ring would be a deadlock, which Postgres answers with an error."""
    dbs = await many(6)
    for round_ in range(12):
        user, sub = f"{uuid4().hex}@example.com", uuid4().hex
        await dbs[0].call("own_email", sub=sub, email=user)
        series = await make_series(dbs[0], user)
        days = [due(week) for week in range(3)]
        filled = (await fill(dbs[0], series, *days, look_at=TOMORROW))["series"]
        rows = [UUID(day["id"]) for day in days]
        await dbs[0].connection.execute(
            "update public.prebookings set status = 'completed', executed_at = now() where id = $1", rows[2]
        )
        token = uuid4()
        await dbs[0].call("begin_giving_back", id=rows[2], user_email=user, token=token, lease_seconds=30)
        await asyncio.gather(
            dbs[0].cancel(rows[0], user),
            dbs[1].cancel(rows[1], user),
            dbs[2].call("end_giving_back", id=rows[2], token=token, given_back=True),
            change(dbs[3], filled, paused=True, cancel=[str(row) for row in rows]),
            dbs[4].call("own_email", sub=sub, email=f"new-{user}"),
            end(dbs[5], series, keep=round_ % 2 == 0),
        )
        left = [day for day, status in await rows_of(dbs[0], series) if status != "cancelled"]
        assert len(left) == len(set(left))
