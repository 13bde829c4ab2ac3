"""A year of a series, in which everything that can happen does: each of its days is booked once, and no other day.

The use case and the SQL functions are the real ones, under a clock that the test sets. Two replicas look now and then;
either may die before or after any call, and the database is away for a day, twelve times. The clocks change
twice; the member skips ten days and pauses twice, and repeats what got no answer.
"""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from tests.postgres.functions import Functions

from prebooking.adapters.supabase.capabilities import CAPABILITIES
from prebooking.adapters.supabase.series import SupabaseSeries
from prebooking.domain.days import written
from prebooking.domain.errors import StoreUnavailableError
from prebooking.domain.prebooking import Prebooking
from prebooking.domain.series import Series, WeeklyClass
from prebooking.usecases.series import Wanted, WeeklySeries

ANA = "ana@example.com"
MADRID = ZoneInfo("Europe/Madrid")
BEGIN, END = datetime(2026, 6, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
WEEKLY = WeeklyClass(
    box_subdomain="mygym",
    box_aimharder_id="7",
    weekdays=(1, 3, 5),
    starts="07:00",
    name="WOD",
    days_before=4,
    time_zone="Europe/Madrid",
    last_day="20270528",
)
#: Skipped from long before their opening on: in the weeks in which the clocks change, and around them.
SKIPPED = [date(2026, 7, 6), date(2026, 8, 12), date(2026, 10, 23), date(2026, 10, 26), date(2026, 12, 25)]
SKIPPED += [date(2027, 1, 1), date(2027, 1, 6), date(2027, 3, 26), date(2027, 3, 29), date(2027, 5, 3)]
PAUSES = [
    (datetime(2026, 8, 17, 10, tzinfo=UTC), datetime(2026, 9, 2, 10, tzinfo=UTC)),
    (datetime(2027, 2, 9, 22, tzinfo=UTC), datetime(2027, 2, 11, 3, tzinfo=UTC)),
]


class DiedError(Exception):
    """The process did."""


class Database:
    """As an adapter calls it. In one call of `one_in` the process dies, before it or after it."""

    def __init__(self, db: Functions, chance: random.Random, one_in: int) -> None:
        self._db = db
        self._chance = chance
        self._one_in = one_in
        self.away = False

    async def call(self, function: str, **arguments: Any) -> dict[str, Any]:
        if self.away:
            raise StoreUnavailableError("away")
        dies = self._chance.randrange(self._one_in) == 0
        after = self._chance.random() < 0.5
        if dies and not after:
            raise DiedError
        answer = await self._db.call(function, **arguments)
        if dies:
            raise DiedError
        return answer


class Store(SupabaseSeries):
    def __init__(self, database: Database) -> None:
        self._rpc = database  # type: ignore[assignment]  # it calls the same functions


class Messages:
    """In the place of the scheduler. QStash is another matter."""

    async def schedule_message(self, made: Prebooking) -> None: ...
    async def delete_message(self, cancelled: Prebooking) -> None: ...


class Host:
    """A gate without openings near, and a clock that stands still."""

    async def calm(self) -> None: ...
    def monotonic(self) -> float:
        return 0.0


class Year:
    def __init__(self, db: Functions, seed: int) -> None:
        self.db = db
        self.chance = random.Random(seed)
        self.database = Database(db, self.chance, one_in=12)
        self.now = BEGIN
        self.deaths = 0
        self.at_instants: list[tuple[datetime, Callable[[], Awaitable[object]]]] = []
        self.series_id: UUID | None = None

    def replica(self) -> WeeklySeries:
        host: Any = Host()
        messages: Any = Messages()
        return WeeklySeries(Store(self.database), messages, host, host, max_active=15)

    async def run(self) -> None:
        await self._asked(self._make)
        self._plan()
        away = {self.chance.randrange(365) for _ in range(12)}
        while self.now < END:
            self.now += timedelta(minutes=self.chance.randrange(20, 240))
            await self.db.at(self.now)
            while self.at_instants and self.at_instants[0][0] <= self.now:
                _, act = self.at_instants.pop(0)
                self.database.away = False
                await self._asked(act)
            self.database.away = (self.now - BEGIN).days in away
            if not self.database.away:
                await self._deliver()
            await self._survives(self.replica().fill_due)

    async def _deliver(self) -> None:
        """Executes what has opened, as QStash's delivery does; after its answer the next day is made."""
        opened = await self.db.connection.fetch(
            "select id from public.prebookings where status = 'pending' and available_at <= $1", self.now
        )
        for row in opened:
            token = uuid4()
            claimed = await self.db.claim(row["id"], token, capabilities=CAPABILITIES)
            assert claimed["outcome"] == "claimed", claimed
            await self.db.begin(row["id"], token)
            await self.db.finish(row["id"], token)
            await self._survives(self.replica().fill_due)

    async def _survives(self, work: Callable[[], Awaitable[object]]) -> bool:
        try:
            await work()
        except (DiedError, StoreUnavailableError):
            self.deaths += 1
            return False
        return True

    async def _asked(self, act: Callable[[], Awaitable[object]]) -> None:
        """By the member, who repeats what got no answer."""
        while not await self._survives(act):
            pass

    async def _make(self) -> None:
        self.series_id = None
        answer = await self.replica().create(ANA, WEEKLY)
        assert answer.series
        self.series_id = answer.series.id

    def _plan(self) -> None:
        for number, day in enumerate(SKIPPED):
            before = datetime.combine(day, time(12), UTC) - timedelta(days=10)
            skip = self._cancel(day) if number % 5 == 4 else self._change(skip=written(day))
            self.at_instants.append((before, skip))
        for pause, unpause in PAUSES:
            self.at_instants.append((pause, self._change(paused=True)))
            self.at_instants.append((unpause, self._change(paused=False)))
        self.at_instants.sort(key=lambda one: one[0])

    def _change(self, *, skip: str | None = None, paused: bool | None = None) -> Callable[[], Awaitable[object]]:
        def wanted(series: Series) -> Wanted:
            days = {*series.skip, skip} if skip else {*series.skip}
            return Wanted(
                weekly=series.weekly,
                paused=series.paused if paused is None else paused,
                skip=tuple(sorted(days)),
            )

        async def change() -> None:
            assert self.series_id
            await self.replica().change(ANA, self.series_id, wanted)

        return change

    def _cancel(self, day: date) -> Callable[[], Awaitable[object]]:
        """Skips the day by cancelling its prebooking, as soon as there is one."""

        async def cancel() -> None:
            row = await self.db.connection.fetchval(
                "select id from public.prebookings where booking_data ->> 'day' = $1 and status = 'pending'",
                written(day),
            )
            if row is None:
                self.at_instants.insert(0, (self.now + timedelta(hours=5), cancel))
                self.at_instants.sort(key=lambda one: one[0])
                return
            assert (await self.db.cancel(row))["outcome"] == "cancelled"

        return cancel


def local(day: date, hour: int = 7) -> datetime:
    return datetime.combine(day, time(hour), MADRID)


def expected() -> set[str]:
    """Each Monday, Wednesday and Friday that is not skipped, and that could be booked outside of a pause."""
    days = (BEGIN.date() + timedelta(days=n) for n in range((END - BEGIN).days))
    found = set()
    for day in days:
        opens, starts = local(day - timedelta(days=4)), local(day)
        paused = any(pause <= opens and starts <= unpause for pause, unpause in PAUSES)
        if day.isoweekday() in (1, 3, 5) and written(day) <= "20270528" and day not in SKIPPED and not paused:
            found.add(written(day))
    return found


@pytest.mark.parametrize("seed", [1, 2])
async def test_in_a_year_each_day_is_booked_once_and_no_other(db: Functions, seed: int) -> None:
    await db.at(BEGIN)
    year = Year(db, seed)
    await year.run()
    rows = await db.connection.fetch(
        "select booking_data ->> 'day' as day, status, available_at, executed_at from public.prebookings"
    )
    booked = [row["day"] for row in rows if row["status"] == "completed"]
    assert len(booked) == len(set(booked))
    assert set(booked) == expected()
    assert {row["status"] for row in rows} == {"completed", "cancelled"}
    for row in rows:  # over each change of the clocks, both openings and hours are those of the wall
        day = datetime.strptime(row["day"], "%Y%m%d").date()  # noqa: DTZ007
        assert row["available_at"] == local(day - timedelta(days=4))
        if row["status"] == "completed":
            assert row["available_at"] <= row["executed_at"] < local(day)
    assert year.deaths > 50
