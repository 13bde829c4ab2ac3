"""The members: they create, cancel, move, look and retry, repeat what got no answer, and remember what they heard."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

import httpx
from tests.reliability.faults.plan import FollowUp, Wish

from prebooking_local.stack import SERVICE_KEY

_AT_ONCE = 200
_WITHIN_S = 30.0
_TIMEOUT = httpx.Timeout(6.0, connect=2.0)
_UNAVAILABLE = 503
#: Expected statuses of each request, besides 503. Anything else is unexpected.
_EXPECTED = {
    "create": (201,),
    "cancel": (200, 409),
    "move": (200, 409),
    "retry": (200, 409),
    "look": (200,),
    "list": (200,),
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request of a member and its answer; `status` None: none came. Epoch seconds."""

    what: str
    asked_at: float
    answered_at: float
    status: int | None
    body: Any = None
    opening: datetime | None = None  #: the one asked for


@dataclass(slots=True)
class UserLog:
    """A wish, and all requests of its member for it."""

    wish: Wish
    exchanges: list[Exchange] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    def answers(self, what: str, *statuses: int) -> list[Exchange]:
        return [one for one in self.exchanges if one.what == what and one.status in statuses]

    @property
    def prebooking_id(self) -> str | None:
        """Of the create that was answered."""
        created = self.answers("create", 200, 201)
        return str(created[-1].body["id"]) if created else None

    @property
    def cancelled_at(self) -> float | None:
        """When a cancel was confirmed."""
        return min((one.answered_at for one in self.answers("cancel", 200)), default=None)

    def openings_at(self, moment: float) -> list[datetime]:
        """All openings that may have been in force then: the one last confirmed, and those asked for since."""
        possible = [self.wish.first_guess]
        for one in self.exchanges:
            if one.opening is None or one.asked_at > moment or one.status == 409:
                continue
            confirmed = one.status in (200, 201) and one.answered_at <= moment
            possible = [one.opening] if confirmed else [*possible, one.opening]
        return possible


class Users:
    """All of them, in this process, each as a client of its own."""

    def __init__(self, url: str, rng: Random, sign_in: Callable[[str], Awaitable[None]]) -> None:
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=_TIMEOUT,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=2),
        )
        # Not by the pool, which looks through all who wait in it whenever anything moves.
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._rng = rng
        self._sign_in = sign_in
        self.user_logs: list[UserLog] = []

    async def close(self) -> None:
        await self._http.aclose()

    async def live(self, wishes: list[Wish]) -> None:
        """Returns when all have done what they wanted."""
        self.user_logs = [UserLog(wish) for wish in wishes]
        async with asyncio.TaskGroup() as group:
            for log in sorted(self.user_logs, key=lambda s: s.wish.create_at):
                await _sleep_until(log.wish.create_at)
                group.create_task(self._one(log))

    async def _one(self, log: UserLog) -> None:
        wish = log.wish
        if not await self._create(log):
            return
        path = f"/prebookings/{log.prebooking_id}"
        if wish.follow_up is FollowUp.CANCEL:
            await _sleep_until(wish.follow_up_at)
            await self._until_answered(log, "cancel", "DELETE", path)
        elif wish.follow_up is FollowUp.MOVE:
            await _sleep_until(wish.follow_up_at)
            moved = {"available_at": wish.moved_to.isoformat()}
            await self._until_answered(log, "move", "PATCH", path, moved, opening=wish.moved_to)
        if wish.looks_at is not None:
            await _sleep_until(wish.looks_at)
            await self._look(log, path)

    async def _create(self, log: UserLog) -> bool:
        wish = log.wish
        body = {
            "box_subdomain": wish.opening.box,
            "box_aimharder_id": wish.opening.box_id,
            "booking_data": {"day": wish.opening.day, "id": wish.opening.class_id, "insist": wish.insist},
            "available_at": wish.first_guess.isoformat(),
        }
        answer = await self._until_answered(log, "create", "POST", "/prebookings", body, opening=wish.first_guess)
        return answer.status == 201

    async def _look(self, log: UserLog, path: str) -> None:
        """Some look at all they have. Who finds it failed signs in again where that is why, and retries."""
        seen = await self._until_answered(log, "look", "GET", path)
        if self._rng.random() < 0.25:
            listed = await self._until_answered(log, "list", "GET", "/prebookings?limit=100")
            if listed.status == 200 and log.prebooking_id not in {row["id"] for row in listed.body["prebookings"]}:
                log.unexpected.append("not in the member's list")
        if seen.status == 200 and seen.body["status"] == "failed":
            if seen.body["error_code"] == "session_expired":
                await self._sign_in(log.wish.email)
            await self._until_answered(log, "retry", "POST", f"{path}/retry")

    async def _until_answered(
        self, log: UserLog, what: str, method: str, path: str, body: Any = None, *, opening: datetime | None = None
    ) -> Exchange:
        """Repeated for as long as a person would, with the same key."""
        key = f"{self._rng.getrandbits(64):x}"
        until = time.time() + _WITHIN_S
        while True:
            answer = await self._ask(log, what, method, path, body, key, opening=opening)
            if answer.status not in (None, _UNAVAILABLE) or time.time() > until:
                return answer
            await asyncio.sleep(self._rng.uniform(0.5, 1.5))

    async def _ask(
        self, log: UserLog, what: str, method: str, path: str, body: Any, key: str, *, opening: datetime | None
    ) -> Exchange:
        who = {"Authorization": f"Bearer {SERVICE_KEY}", "X-User-Email": log.wish.email}
        headers = who | {"Idempotency-Key": key}
        status, said = None, None
        async with self._at_once:
            asked_at = time.time()
            try:
                answer = await self._http.request(method, path, headers=headers, json=body)
                status, said = answer.status_code, answer.text
                said = answer.json()
            except httpx.TransportError as exc:
                said = type(exc).__name__
            except ValueError:
                log.unexpected.append(f"{what}: {status} without JSON")
        heard = Exchange(what, asked_at, time.time(), status, said, opening)
        log.exchanges.append(heard)
        if status not in (None, _UNAVAILABLE, *_EXPECTED[what]):
            log.unexpected.append(f"{what}: {status} {said}")
        return heard


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.time()))
