"""One member wants one class: how the tests of whole processes put it up, ask for it and see what came of it."""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from tests.reliability.oracle import Facts, Request, Row, Violation, granted, violations

from prebooking_local.stack import Member, Stack

ANA = Member("ana@example.com", "secret", "Ana")
BOX = {"slug": "mygym", "boid": 7}
_NUMBERS = count(1000)
_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Wish:
    """A prebooking of a class that nobody else wants."""

    id: str
    class_id: int
    opens_at: datetime


async def wish_body(stack: Stack, opens_in_s: float) -> dict[str, Any]:
    """Puts a class up; what is asked to prebook it."""
    class_id = next(_NUMBERS)
    opens_at = datetime.now(UTC) + timedelta(seconds=opens_in_s)
    day = f"{opens_at + timedelta(days=4 + class_id % 300):%Y%m%d}"  # one class an hour and person
    put_up = {"box": BOX["slug"], "id": class_id, "day": day, "opens_at": opens_at.isoformat(), "capacity": 20}
    await stack.control(stack.aimharder_url, "classes", put_up)
    return {
        "box_subdomain": BOX["slug"],
        "box_aimharder_id": BOX["boid"],
        "booking_data": {"day": day, "id": class_id},
        "available_at": opens_at.isoformat(),
    }


async def wish(stack: Stack, opens_in_s: float) -> Wish:
    """Puts a class up, which Ana prebooks."""
    body = await wish_body(stack, opens_in_s)
    row = await stack.prebook(ANA.email, body)
    opens_at = datetime.fromisoformat(body["available_at"])
    return Wish(row["id"], body["booking_data"]["id"], opens_at)


async def until(stack: Stack, wanted: Wish, condition: str) -> dict[str, Any]:
    """The row, by the database, as soon as the SQL condition holds."""
    query = f"select * from public.prebookings where id = $1 and ({condition})"
    async with stack.database() as connection, asyncio.timeout(_WITHIN_S):
        while (row := await connection.fetchrow(query, wanted.id)) is None:
            await asyncio.sleep(0.01)
        return dict(row)


async def deliveries(stack: Stack, row: dict[str, Any]) -> list[tuple[int, str]]:
    """What each delivery of the row's message was answered, by QStash's own record."""
    async with asyncio.timeout(_WITHIN_S):
        while True:
            record = await stack.control(stack.qstash_url, "messages")
            messages = {message["messageId"]: message for message in (*record["pending"], *record["finished"])}
            attempts = messages[row["qstash_schedule_id"]]["attempts"]
            if all(attempt["answeredAt"] for attempt in attempts):
                return [(attempt["status"], json.loads(attempt["body"]).get("outcome")) for attempt in attempts]
            await asyncio.sleep(0.01)


async def broken_promises(stack: Stack, wanted: Wish) -> list[Violation]:
    """What the oracle finds wrong, by the gym's ledger and the database's row; no failure is true here."""
    row = await until(stack, wanted, "true")
    bookings = (await stack.control(stack.aimharder_url, "bookings"))["bookings"]
    facts = Facts(
        rows=[Row.read(row | {"result": json.loads(row["result"] or "null")})],
        bookings={str(one["id"]): one["state"] for one in bookings if str(one["class_id"]) == str(wanted.class_id)},
        requests=[
            Request(entry["first_byte_ns"], _opening_ns(wanted), granted(entry["decided"]))
            for entry in await _booking_requests(stack, wanted)
        ],
    )
    return violations(facts)


def _opening_ns(wanted: Wish) -> int:
    return int(wanted.opens_at.timestamp() * 1_000_000) * 1000


async def _booking_requests(stack: Stack, wanted: Wish) -> list[dict[str, Any]]:
    ledger = (await stack.control(stack.aimharder_url, "ledger"))["requests"]
    return [
        entry
        for entry in ledger
        if entry["path"] == "/api/book" and str(entry["form"].get("id")) == str(wanted.class_id)
    ]


async def lateness_ms(stack: Stack, wanted: Wish) -> list[float]:
    """Of each booking request that reached the gym, by the gym's stamp of its first byte."""
    return [(entry["first_byte_ns"] - _opening_ns(wanted)) / 1e6 for entry in await _booking_requests(stack, wanted)]
