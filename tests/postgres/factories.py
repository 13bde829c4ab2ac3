"""Rows in any state, as the protocol or the old writers could have left them."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from tests.postgres.functions import NOW, Functions, seconds

Columns = dict[str, Any]

GIVE_UP_AT = NOW + timedelta(hours=10)
OPENING = NOW + seconds(3)
BEGUN_BEFORE = uuid4()  # an earlier claim, which began

_class_ids = count(100_000)


def booking_data(class_id: int | str | None = None, **more: Any) -> Columns:
    wanted = str(next(_class_ids)) if class_id is None else class_id
    return {"day": "20990304", "id": wanted, "classTimeUTC": GIVE_UP_AT.isoformat(), **more}


async def insert(connection: asyncpg.Connection, table: str, columns: Columns) -> UUID:
    places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
    created = await connection.fetchval(
        f"insert into public.{table} ({', '.join(columns)}) values ({places}) returning id", *columns.values()
    )
    assert isinstance(created, UUID)
    return created


async def prebooking(db: Functions, **columns: Any) -> UUID:
    """One of ours: made yesterday, of a class of its own, opening in three seconds."""
    row = {
        "user_email": "ana@example.com",
        "box_subdomain": "kap",
        "box_aimharder_id": "10584",
        "booking_data": booking_data(),
        "available_at": OPENING,
        "created_at": NOW - timedelta(days=1),
        "armed_at": NOW - timedelta(days=1),
        **columns,
    }
    wish = (row["user_email"], row["box_subdomain"], row["booking_data"], row.get("class"))
    key = await db.connection.fetchval("select prebooking.wish_key($1, $2, $3, $4)", *wish)
    return await insert(db.connection, "prebookings", {"wish_key": key, **row})


async def session(db: Functions, **columns: Any) -> UUID:
    return await insert(
        db.connection,
        "auth_sessions",
        {
            "user_email": "ana@example.com",
            "aimharder_token": "token-1",
            "aimharder_cookies": [{"name": "amhrdrauth", "value": "v1"}],
            "fingerprint": f"device-{uuid4().hex[:8]}",
            "updated_at": NOW - timedelta(hours=1),
            **columns,
        },
    )


def claimed(token: UUID, **more: Any) -> Columns:
    return {
        "status": "executing",
        "claim_token": token,
        "claimed_at": NOW - seconds(1),
        "claim_counted": True,
        "attempts": 1,
        "lease_until": NOW + seconds(4),
        **more,
    }


def begun(token: UUID, **more: Any) -> Columns:
    return claimed(token, **{"booking_started_at": NOW - seconds(1), "begun_token": token, **more})


def settling(token: UUID, **more: Any) -> Columns:
    """Claimed to find out what became of an earlier claim's request."""
    return begun(token, **{"begun_token": BEGUN_BEFORE, "claim_counted": False, **more})


def parked(token: UUID, **more: Any) -> Columns:
    return begun(token, **{"ended_token": token, "parks": 1, "lease_until": NOW - seconds(1), **more})


def failed(outcome: str = "class_full", **more: Any) -> Columns:
    return {
        "status": "failed",
        "error_code": outcome,
        "error_message": "Said.",
        "result": {"success": False, "outcome": outcome},
        "executed_at": NOW - seconds(1),
        "attempts": 1,
        **more,
    }


def outcome_unknown(**more: Any) -> Columns:
    return failed("outcome_unknown", booking_started_at=NOW - seconds(60), begun_token=BEGUN_BEFORE, **more)


STATES: dict[str, Callable[[UUID], Columns]] = {
    "pending": lambda _: {},
    "not due": lambda _: {"available_at": NOW + timedelta(hours=1)},
    "loaded by the old cron": lambda _: {"status": "loaded", "loaded_at": NOW},
    "released": lambda token: {"ended_token": token, "retry_at": NOW + seconds(2), "attempts": 1},
    "pending with a mark": lambda _: {"booking_started_at": NOW - seconds(60), "begun_token": BEGUN_BEFORE},
    "attempts used up": lambda _: {"attempts": 5},
    "over": lambda _: {"give_up_at": NOW},
    "claimed": claimed,
    "claimed, lease ended": lambda token: claimed(token, lease_until=NOW),
    "claimed, lease and attempts ended": lambda token: claimed(token, lease_until=NOW, attempts=5),
    "claimed, lease ended, over": lambda token: claimed(token, lease_until=NOW, give_up_at=NOW),
    "begun": begun,
    "begun, lease ended, over": lambda token: begun(token, lease_until=NOW, give_up_at=NOW, attempts=5),
    "begun, long over": lambda token: begun(token, lease_until=NOW, give_up_at=NOW - timedelta(hours=24)),
    "settling": settling,
    "parked": parked,
    "the old cron's": lambda _: {"status": "executing", "available_at": NOW - seconds(119)},
    "the old cron's, over 2 min": lambda _: {"status": "executing", "available_at": NOW - seconds(120)},
    "completed": lambda token: {"status": "completed", "executed_at": NOW, "ended_token": token},
    "failed": lambda token: failed(ended_token=token),
    "outcome unknown": lambda _: outcome_unknown(),
    "failed by the old cron": lambda _: {"status": "failed", "error_message": "no", "executed_at": NOW},
    "cancelled": lambda _: {"status": "cancelled"},
}
