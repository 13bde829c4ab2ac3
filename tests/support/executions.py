"""Steps of tests of executions: prebook an open class, deliver a message, read the answer, age a row."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tests.support import signing
from tests.support.world import BOX, CLASS_ID, World

from prebooking_local.aimharder import Fault, Person
from prebooking_local.aimharder.ledger import Entry
from prebooking_local.qstash.message import Attempt

ANA = "ana@example.com"
ON_TIME_MS = 500  # for a starved machine: the benchmarks measure how late it is on a quiet one
BOOK, LISTING, WHOAMI, REFRESH = "/api/book", "/api/bookings", "/api/whoami", "/api/tokenUpdate"
LOGIN, ENTRANCE = "/api/login", "/setrefresh"
_WITHIN_S = 60.0  # nothing is judged by it: what comes is there in a moment


@dataclass(frozen=True, slots=True)
class Answered:
    """What one delivery was answered."""

    status: int
    outcome: str
    retry_after: int | None
    took_s: float


def _answered(status: int, body: bytes, retry_after: str | None, took_s: float) -> Answered:
    said = json.loads(body)
    return Answered(
        status, said.get("code") or said["outcome"], None if retry_after is None else int(retry_after), took_s
    )


async def deliver(world: World, prebooking_id: str, version: int = 1) -> Answered:
    """A delivery of our own, signed as QStash does."""
    answer = await signing.deliver(world, signing.EXECUTE, signing.body_of(prebooking_id, version))
    took = answer.elapsed.total_seconds()
    return _answered(answer.status_code, answer.content, answer.headers.get("retry-after"), took)


async def until(condition: Callable[[], Any], within_s: float = _WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


async def delivered(world: World, row: dict[str, Any], nth: int = 1) -> Answered:
    """What QStash was answered when it delivered this row's message for the nth time."""
    message = next(m for m in world.messages(row["id"]) if m.id == row["qstash_schedule_id"])
    await until(lambda: len(message.attempts) >= nth and message.attempts[nth - 1].answered_at is not None)
    attempt: Attempt = message.attempts[nth - 1]
    assert attempt.answer is not None, attempt.error
    took = (attempt.answered_at or 0) - attempt.sent_at
    return _answered(attempt.status, attempt.body, attempt.answer.header("retry-after"), took)


async def prebook_open_class(world: World, **data: Any) -> dict[str, Any]:
    """Ana prebooks a class that has just opened: it runs at once."""
    await world.member(ANA)
    return await world.prebook(ANA, world.open_class(), **data)


async def lease_ends(world: World, row: dict[str, Any]) -> None:
    """As if the lease had ended a moment ago."""
    done = await world.database.execute(
        "update public.prebookings set lease_until = now() - interval '1 ms' where id = $1 and claim_token is not null",
        row["id"],
    )
    assert done == "UPDATE 1"


async def sweep(world: World) -> None:
    """One pass, and all that it started."""
    await world.services.sweeper.sweep()
    await world.services.sweeper.wait_idle()


def inject_fault(world: World, kind: str, path: str = BOOK, **more: Any) -> None:
    """Injects a fault at the gym: once, unless `times` says otherwise."""
    world.gym.faults.add(Fault.model_validate({"kind": kind, "path": path, "times": 1} | more))


def book(world: World, class_id: int = CLASS_ID, family_id: str = "", state: Literal[0, 1] = 1) -> None:
    """Ana's own doing, at the gym itself."""
    gym = world.gym.gym
    person, now_ns = Person(ANA, family_id), world.gym.site.clock()
    gym.reserve(gym.classes[BOX.slug, class_id], person, state=state, now_ns=now_ns)


def bookings_asked(world: World) -> list[Entry]:
    """The booking requests that reached the gym."""
    return world.gym.ledger.of(BOOK)


async def at_gym(world: World, path: str, nth: int = 1) -> Entry:
    """The nth request of that path, once it has reached the gym."""
    await until(lambda: len(world.gym.ledger.of(path)) >= nth)
    return world.gym.ledger.of(path)[nth - 1]


def shots(row: dict[str, Any]) -> list[str]:
    return [shot["outcome"] for shot in row["result"]["timings"]["shots"]]


async def begun(world: World, row: dict[str, Any]) -> None:
    """Returns once the request may leave."""
    query = "select booking_started_at is not null from public.prebookings where id = $1"
    async with asyncio.timeout(_WITHIN_S):
        while not await world.database.fetchval(query, row["id"]):
            await asyncio.sleep(0.01)


async def ran(world: World, row: dict[str, Any]) -> tuple[Answered, dict[str, Any]]:
    """The answer to QStash's first delivery, and the row after it."""
    return await delivered(world, row), await world.read(ANA, row["id"])
