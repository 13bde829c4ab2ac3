"""Members whose class opens in half an hour: the service looks at their sessions, and rotates those that are old.

Nothing of theirs is booked here. What they are for is the rotation of a living session amid everything that goes wrong.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx
from tests.reliability.faults.clients import fresh_client, until_answered
from tests.reliability.faults.plan import STRICT
from tests.reliability.faults.rows import Rows

from prebooking_local.stack import Member, Stack

_OPENS_IN_S = (600.0, 1500.0)  # between the looks 30 and 5 minutes before
_ASKS_AGAIN_S = (10.0, 40.0)
_WITHIN_S = 60.0
_DAYS, _FIRST_DAY = 300, datetime(2027, 2, 1, tzinfo=UTC)


class IdleMembers:
    """Each asks for a class, cancels it after a while, and asks anew, so that its session is looked at again."""

    def __init__(self, stack: Stack, rows: Rows, rng: Random, count: int) -> None:
        self._stack = stack
        self._rows = rows
        self._rng = rng
        self._emails = [f"idle{i:03}@example.com" for i in range(count)]
        self._waiting: dict[str, str] = {}  #: by e-mail: the prebooking
        self._http = fresh_client(stack.service_url, timeout_s=6)

    async def enrol(self) -> None:
        await self._stack.enrol([Member(email, "secret", email) for email in self._emails])

    async def run(self) -> None:
        """Returns when it is cancelled; see `cancel_all`."""
        async with asyncio.TaskGroup() as group:
            for email in self._emails:
                group.create_task(self._sleep(email))

    async def cancel_all(self) -> None:
        """They want nothing any more, so that nothing of theirs is looked at: nor what a create left unanswered."""

        async def one(email: str) -> None:
            await self._cancel(email)
            listed = await self._ask(email, "GET", "/prebookings?status=pending")
            for row in listed.json()["prebookings"] if listed is not None and listed.is_success else []:
                self._waiting[email] = row["id"]
                await self._cancel(email)

        await asyncio.gather(*(one(email) for email in self._emails))

    async def close(self) -> None:
        await self._http.aclose()

    async def _sleep(self, email: str) -> None:
        for number in range(_DAYS):
            await asyncio.sleep(self._rng.uniform(0, _ASKS_AGAIN_S[0]))
            await self._rows.age_sessions([email])
            await self._create(email, number)
            await asyncio.sleep(self._rng.uniform(*_ASKS_AGAIN_S))
            await self._cancel(email)

    async def _create(self, email: str, number: int) -> None:
        opens_at = datetime.now(UTC) + timedelta(seconds=self._rng.uniform(*_OPENS_IN_S))
        body = {
            "box_subdomain": STRICT["slug"],
            "box_aimharder_id": STRICT["boid"],
            "booking_data": {"day": f"{_FIRST_DAY + timedelta(days=number):%Y%m%d}", "id": 1},
            "available_at": opens_at.isoformat(),
        }
        answer = await self._ask(email, "POST", "/prebookings", body)
        if answer is not None and answer.is_success:
            self._waiting[email] = answer.json()["id"]

    async def _cancel(self, email: str) -> None:
        waiting = self._waiting.pop(email, None)
        if waiting is not None:
            await self._ask(email, "DELETE", f"/prebookings/{waiting}")

    async def _ask(self, email: str, method: str, path: str, body: Any = None) -> httpx.Response | None:
        """Until it is answered, or time is up."""
        headers = self._stack.headers(email)
        return await until_answered(
            lambda: self._http.request(method, path, headers=headers, json=body),
            within_s=_WITHIN_S,
            pause_s=lambda: self._rng.uniform(0.5, 1.5),
        )
