"""The members: they create, cancel, move, look and retry, repeat what got no answer, and remember what they heard."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

import httpx
from tests.reliability.faults.plan import Fate, Wish

from prebooking_local.stack import SERVICE_KEY

_AT_ONCE = 200
_PATIENCE_S = 30.0
_TIMEOUT = httpx.Timeout(6.0, connect=2.0)
_UNAVAILABLE = 503
#: What each may be told, besides that the database is away. Anything else is odd.
_EXPECTED = {
    "create": (201,),
    "cancel": (200, 409),
    "move": (200, 409),
    "retry": (200, 409),
    "look": (200,),
    "list": (200,),
}


@dataclass(frozen=True, slots=True)
class Heard:
    """One request of a member and its answer; `status` None: none came. Epoch seconds."""

    what: str
    asked_at: float
    heard_at: float
    status: int | None
    said: Any = None
    opening: datetime | None = None  #: the one asked for


@dataclass(slots=True)
class Story:
    """A wish, and all that its member heard of it."""

    wish: Wish
    heard: list[Heard] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def answers(self, what: str, *statuses: int) -> list[Heard]:
        return [one for one in self.heard if one.what == what and one.status in statuses]

    @property
    def prebooking_id(self) -> str | None:
        """Of the create that was answered."""
        created = self.answers("create", 200, 201)
        return str(created[-1].said["id"]) if created else None

    @property
    def cancelled_at(self) -> float | None:
        """When a cancel was confirmed."""
        return min((one.heard_at for one in self.answers("cancel", 200)), default=None)

    def openings_at(self, moment: float) -> list[datetime]:
        """All openings that may have been in force then: the one last confirmed, and those asked for since."""
        possible = [self.wish.first_guess]
        for one in self.heard:
            if one.opening is None or one.asked_at > moment or one.status == 409:
                continue
            confirmed = one.status in (200, 201) and one.heard_at <= moment
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
        self.stories: list[Story] = []

    async def close(self) -> None:
        await self._http.aclose()

    async def live(self, wishes: list[Wish]) -> None:
        """Returns when all have done what they wanted."""
        self.stories = [Story(wish) for wish in wishes]
        async with asyncio.TaskGroup() as group:
            for story in sorted(self.stories, key=lambda s: s.wish.create_at):
                await _sleep_until(story.wish.create_at)
                group.create_task(self._one(story))

    async def _one(self, story: Story) -> None:
        wish = story.wish
        if not await self._create(story):
            return
        path = f"/prebookings/{story.prebooking_id}"
        if wish.fate is Fate.CANCEL:
            await _sleep_until(wish.fate_at)
            await self._until_heard(story, "cancel", "DELETE", path)
        elif wish.fate is Fate.MOVE:
            await _sleep_until(wish.fate_at)
            moved = {"available_at": wish.moved_to.isoformat()}
            await self._until_heard(story, "move", "PATCH", path, moved, opening=wish.moved_to)
        if wish.looks_at is not None:
            await _sleep_until(wish.looks_at)
            await self._look(story, path)

    async def _create(self, story: Story) -> bool:
        wish = story.wish
        body = {
            "box_subdomain": wish.opening.box,
            "box_aimharder_id": wish.opening.box_id,
            "booking_data": {"day": wish.opening.day, "id": wish.opening.class_id, "insist": wish.insist},
            "available_at": wish.first_guess.isoformat(),
        }
        answer = await self._until_heard(story, "create", "POST", "/prebookings", body, opening=wish.first_guess)
        return answer.status == 201

    async def _look(self, story: Story, path: str) -> None:
        """Some look at all they have. Who finds it failed signs in again where that is why, and retries."""
        seen = await self._until_heard(story, "look", "GET", path)
        if self._rng.random() < 0.25:
            listed = await self._until_heard(story, "list", "GET", "/prebookings?limit=100")
            if listed.status == 200 and story.prebooking_id not in {row["id"] for row in listed.said["prebookings"]}:
                story.odd.append("not in the member's list")
        if seen.status == 200 and seen.said["status"] == "failed":
            if seen.said["error_code"] == "session_expired":
                await self._sign_in(story.wish.email)
            await self._until_heard(story, "retry", "POST", f"{path}/retry")

    async def _until_heard(
        self, story: Story, what: str, method: str, path: str, body: Any = None, *, opening: datetime | None = None
    ) -> Heard:
        """Repeated for as long as a person would, with the same key."""
        key = f"{self._rng.getrandbits(64):x}"
        until = time.time() + _PATIENCE_S
        while True:
            answer = await self._ask(story, what, method, path, body, key, opening=opening)
            if answer.status not in (None, _UNAVAILABLE) or time.time() > until:
                return answer
            await asyncio.sleep(self._rng.uniform(0.5, 1.5))

    async def _ask(
        self, story: Story, what: str, method: str, path: str, body: Any, key: str, *, opening: datetime | None
    ) -> Heard:
        who = {"Authorization": f"Bearer {SERVICE_KEY}", "X-User-Email": story.wish.email}
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
                story.odd.append(f"{what}: {status} without JSON")
        heard = Heard(what, asked_at, time.time(), status, said, opening)
        story.heard.append(heard)
        if status not in (None, _UNAVAILABLE, *_EXPECTED[what]):
            story.odd.append(f"{what}: {status} {said}")
        return heard


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.time()))
