"""Members with a class of every week, whose next one opens during the campaign, and what became of their series.

They are members of the gym that takes two bookings of one hour. Their prebookings name no id: the class is found by its
hour and name, at its opening by some, when it is listed only then.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tests.reliability.faults.clients import fresh_client, until_answered
from tests.reliability.faults.counted import Complaint
from tests.reliability.faults.plan import LAX
from tests.reliability.faults.rows import Rows

from prebooking_local.stack import Member, Stack

_ZONE = ZoneInfo("Europe/Madrid")
_WEEK = timedelta(weeks=1)
_FIRST_OPENING_S = 25.0  # from the start: until then all have asked
_ASK_WITHIN_S = 15.0
_HOURS_AHEAD = (24, 120)  # of the opening before the class, so that the next week's opens within eight days
_CLASS_IDS = 900_000
_GROUP = 6
_LISTED_AT_OPENING = 0.3  # of the classes
_LONGEST_WAIT_S = 90.0
_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Weekly:
    """One member's series. It opens at whole minutes, as classes start at them."""

    email: str
    class_id: int  #: of its first day
    opens_at: datetime
    hours_before: int

    @property
    def starts_at(self) -> datetime:
        return (self.opens_at + timedelta(hours=self.hours_before)).astimezone(_ZONE)

    @property
    def days(self) -> tuple[str, str]:
        """Returns the days that are due during the campaign: this week's and the next one's."""
        first = self.starts_at.date()
        return _written(first), _written(first + _WEEK)

    @property
    def name(self) -> str:
        return f"Weekly {self.class_id - _CLASS_IDS}"

    def as_series(self) -> dict[str, Any]:
        return {
            "box_subdomain": LAX["slug"],
            "box_aimharder_id": LAX["boid"],
            "weekdays": [self.starts_at.isoweekday()],
            "class": {"starts": f"{self.starts_at:%H:%M}", "name": self.name},
            "opens": {"hours_before": self.hours_before, "time_zone": str(_ZONE)},
        }


@dataclass(frozen=True, slots=True)
class SeriesLedgers:
    """What all ledgers say of the series."""

    wanted: Sequence[Weekly]
    answered: frozenset[str]  #: the members whose create was answered
    series: Sequence[str]  #: the members of the database's series
    rows: Sequence[dict[str, Any]]
    bookings: Sequence[dict[str, Any]]


class WeeklyMembers:
    def __init__(self, stack: Stack, rows: Rows, rng: Random, count: int) -> None:
        self._stack = stack
        self._rows = rows
        self._rng = rng
        self._emails = [f"weekly{number:03}@example.com" for number in range(count)]
        self._answered: set[str] = set()
        self._wanted: list[Weekly] = []
        self._http = fresh_client(stack.service_url, timeout_s=6)

    async def enrol(self) -> None:
        await self._stack.enrol([Member(email, "secret", email) for email in self._emails])

    async def run(self, starts_at: float, ends_at: float) -> None:
        """Returns when all series were created."""
        self._wanted = self._draw(starts_at, ends_at)
        await self._put_classes()
        async with asyncio.TaskGroup() as group:
            for weekly in self._wanted:
                group.create_task(self._create(weekly, starts_at + self._rng.uniform(0, _ASK_WITHIN_S)))

    async def close(self) -> None:
        await self._http.aclose()

    def is_theirs(self, email: str | None) -> bool:
        return email in self._emails

    async def ledgers(self, rows: Sequence[dict[str, Any]], bookings: Sequence[dict[str, Any]]) -> SeriesLedgers:
        found = await self._rows.fetch("select user_email from public.prebooking_series")
        return SeriesLedgers(
            wanted=self._wanted,
            answered=frozenset(self._answered),
            series=[one["user_email"] for one in found],
            rows=[row for row in rows if self.is_theirs(row["user_email"])],
            bookings=[booking for booking in bookings if self.is_theirs(booking["member"])],
        )

    def _draw(self, starts_at: float, ends_at: float) -> list[Weekly]:
        first = ceil((starts_at + _FIRST_OPENING_S) / _MINUTE_S)
        minutes = range(first, max(first + 1, int(ends_at // _MINUTE_S) + 1))
        drawn: list[Weekly] = []
        for start in range(0, len(self._emails), _GROUP):
            opens_at = datetime.fromtimestamp(self._rng.choice(minutes) * _MINUTE_S, UTC)
            hours, class_id = self._rng.randint(*_HOURS_AHEAD), _CLASS_IDS + start
            drawn += [Weekly(email, class_id, opens_at, hours) for email in self._emails[start : start + _GROUP]]
        return drawn

    async def _put_classes(self) -> None:
        classes = {weekly.class_id: weekly for weekly in self._wanted}
        await self._stack.control(
            self._stack.aimharder_url,
            "classes",
            [
                {
                    "box": LAX["slug"],
                    "id": class_id,
                    "day": weekly.days[0],
                    "time": f"{weekly.starts_at:%H:%M} - {weekly.starts_at + timedelta(hours=1):%H:%M}",
                    "name": weekly.name,
                    "opens_at": weekly.opens_at.isoformat(),
                    "capacity": 2 * _GROUP,
                    "listed_at_opening": self._rng.random() < _LISTED_AT_OPENING,
                }
                for class_id, weekly in classes.items()
            ],
        )

    async def _create(self, weekly: Weekly, at: float) -> None:
        """Asks until it is answered: a series with the same fields is the same one."""
        await asyncio.sleep(max(0.0, at - time.time()))
        headers = self._stack.headers(weekly.email)
        answer = await until_answered(
            lambda: self._http.post("/series", headers=headers, json=weekly.as_series()),
            within_s=_LONGEST_WAIT_S,
            pause_s=lambda: self._rng.uniform(0.3, 1.0),
        )
        if answer is not None:
            answer.raise_for_status()
            self._answered.add(weekly.email)


def complaints(ledgers: SeriesLedgers) -> Iterator[Complaint]:
    """Each day that was due has one prebooking, no other day has any, and the first was booked once."""
    rows, bookings = defaultdict(list), defaultdict(list)
    for row in ledgers.rows:
        rows[row["user_email"]].append(row)
    for booking in ledgers.bookings:
        bookings[booking["member"]].append(booking)
    for weekly in ledgers.wanted:
        texts = _wrong(weekly, ledgers, rows[weekly.email], bookings[weekly.email])
        yield from (Complaint(weekly.email, text) for text in texts)


def _wrong(
    weekly: Weekly, ledgers: SeriesLedgers, rows: list[dict[str, Any]], bookings: list[dict[str, Any]]
) -> Iterator[str]:
    made = ledgers.series.count(weekly.email)
    if weekly.email not in ledgers.answered:
        return  # nobody promised anything
    if made != 1:
        yield f"{made} series, of one that was created"
    days = [str(row["booking_data"]["day"]) for row in rows]
    for day in weekly.days:
        if days.count(day) != 1:
            yield f"{days.count(day)} prebookings of {day}"
    yield from (f"a prebooking of {day}, which was not due" for day in sorted(set(days) - set(weekly.days)))
    for row in rows:
        is_first = row["booking_data"]["day"] == weekly.days[0]
        wanted = ("completed",) if is_first else ("pending", "loaded")
        if row["status"] not in wanted:
            yield f"that of {row['booking_data']['day']} is {row['status']}: {row['error_code']}"
    if len(bookings) != 1 or bookings[0]["class_id"] != weekly.class_id:
        yield f"the gym holds {[booking['class_id'] for booking in bookings]}, not {weekly.class_id} once"


def _written(day: date) -> str:
    return f"{day:%Y%m%d}"
