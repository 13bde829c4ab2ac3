"""The classes of the local gym: a week of them, and always one that opens within a minute, to try it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from prebooking_local.opening import BOX
from prebooking_local.stack import Stack

ZONE = ZoneInfo("Europe/Madrid")
DAYS_AHEAD = 4  # the gym's own rule: at the class's time, so many days before
_TIMETABLE = (
    *(("07:00", "08:00", "WOD", 14), ("09:30", "10:30", "Open Box", 20), ("13:15", "14:15", "WOD", 14)),
    *(("17:30", "18:30", "Halterofilia", 10), ("18:30", "19:30", "WOD", 14), ("20:00", "21:00", "Gymnastics", 12)),
)
_FIRST_ID = 2000
_SOON_FROM_ID = 9000
_SOON = 3  # minutes ahead for which there is always a class


async def put_up_week(stack: Stack) -> None:
    """Puts up the classes of today and nine days more."""
    now = datetime.now(ZONE)
    classes = [
        {
            "box": BOX["slug"],
            "id": _FIRST_ID + len(_TIMETABLE) * ahead + number,
            "day": f"{now + timedelta(days=ahead):%Y%m%d}",
            "time": f"{starts} - {ends}",
            "name": name,
            "type_id": number + 1,
            "capacity": capacity,
            "others": (7 * ahead + 3 * number) % (capacity - 1) if ahead <= DAYS_AHEAD else 0,
        }
        for ahead in range(10)
        for number, (starts, ends, name, capacity) in enumerate(_TIMETABLE)
    ]
    await _announce(stack, classes)


async def keep_one_soon(stack: Stack) -> None:
    """Puts up a class for each of the next minutes, which opens then by the gym's own rule, until it is cancelled."""
    made = -1
    while True:
        minute = int(datetime.now(UTC).timestamp() // 60)
        for number in range(max(made, minute) + 1, minute + _SOON + 1):
            starts = datetime.fromtimestamp(60 * number, ZONE) + timedelta(days=DAYS_AHEAD)  # on the wall clock
            ends = starts + timedelta(hours=1)
            soon = {
                "box": BOX["slug"],
                "id": _SOON_FROM_ID + number % 100_000,
                "day": f"{starts:%Y%m%d}",
                "time": f"{starts:%H:%M} - {ends:%H:%M}",
                "name": "Try it out",
                "type_id": 99,
                "capacity": 20,
            }
            await _announce(stack, [soon])
            made = number
        await asyncio.sleep(5)


async def _announce(stack: Stack, classes: list[dict[str, Any]]) -> None:
    await stack.control(stack.aimharder_url, "classes", classes)
