"""Series as the service keeps them, and the calls that it makes."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from tests.postgres.functions import NOW, Answer, Functions

ANA = "ana@example.com"
DAY = "20990306"  # a Friday, in two days
NEXT = "20990313"
STARTS = datetime.fromisoformat("2099-03-06T06:00:00+00:00")
WEEK = timedelta(weeks=1)

WEEKLY: dict[str, Any] = {
    "box_subdomain": "kap",
    "box_aimharder_id": "10584",
    "weekdays": [5],
    "starts": "07:00",
    "name": "WOD",
    "family_id": "",
    "insist": 0,
    "days_before": 1,
    "time_zone": "Europe/Madrid",
}


def due(week: int = 0, *, opens_at: datetime | None = None) -> dict[str, Any]:
    """A Friday to make, which opens a day before its class."""
    starts_at = STARTS + week * WEEK
    return {
        "id": str(uuid4()),
        "day": f"{starts_at:%Y%m%d}",
        "starts_at": starts_at.isoformat(),
        "opens_at": (opens_at or starts_at - timedelta(days=1)).isoformat(),
    }


async def make_series(db: Functions, user_email: str = ANA, **more: Any) -> dict[str, Any]:
    answer = await db.call("create_series", id=uuid4(), user_email=user_email, weekly=WEEKLY | more, most=20)
    assert answer["outcome"] == "created"
    series: dict[str, Any] = answer["series"]
    return series


async def fill(
    db: Functions, series: Mapping[str, Any], *days: dict[str, Any], look_at: datetime | None = None, most: int = 15
) -> Answer:
    return await db.call(
        "fill_series",
        id=series["id"],
        revision=series["revision"],
        days=list(days),
        max_active=most,
        look_at=look_at or NOW + WEEK,
    )


async def change(
    db: Functions, series: Mapping[str, Any], *, cancel: Sequence[str] = (), most: int = 15, **more: Any
) -> Answer:
    return await db.call(
        "change_series",
        id=series["id"],
        user_email=series["user_email"],
        revision=series["revision"],
        weekly=more.pop("weekly", series["weekly"]),
        paused=more.pop("paused", series["paused"]),
        skip=more.pop("skip", series["skip"]),
        cancel=list(cancel),
        max_active=most,
    )


async def end(db: Functions, series: Mapping[str, Any], *, keep: bool = False) -> Answer:
    return await db.call("end_series", id=series["id"], user_email=series["user_email"], keep=keep)


async def read(db: Functions, series: Mapping[str, Any]) -> dict[str, Any]:
    (found,) = (await db.call("list_series", user_email=series["user_email"], id=series["id"]))["series"]
    assert isinstance(found, dict)
    return found


async def made(db: Functions, series: Mapping[str, Any], week: int = 0) -> UUID:
    """The prebooking of a day that the series makes now."""
    answer = await fill(db, await read(db, series), due(week))
    (row,) = answer["made"]
    return UUID(row["id"])


async def status(db: Functions, row: UUID) -> str:
    return str((await db.row(row))["status"])


async def put(db: Functions, row: UUID, **columns: Any) -> None:
    """Into another state."""
    values = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, 2))
    await db.connection.execute(f"update public.prebookings set {values} where id = $1", row, *columns.values())
