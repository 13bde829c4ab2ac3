"""A class that opens in a few seconds at a local gym, and members who want it: what `dev` and `demo` show."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from prebooking_local.stack import Member, Stack

BOX = {"slug": "mygym", "boid": 7, "name": "My Gym"}
CLASS_ID = 501
_FINISHED = ("completed", "failed", "cancelled")
_WAIT_S = 30.0


def members(count: int) -> list[Member]:
    return [Member(f"member{i:02}@example.com", "secret", f"Member {i:02}") for i in range(1, count + 1)]


class Opening:
    """One class of the local gym, opening at a whole second some seconds ahead."""

    def __init__(self, stack: Stack, opens_in_s: float, class_id: int = CLASS_ID) -> None:
        self._stack = stack
        self.class_id = class_id
        later = datetime.now(UTC) + timedelta(seconds=opens_in_s)
        self.at = later.replace(microsecond=0) + timedelta(seconds=1 if later.microsecond else 0)
        self.day = f"{self.at + timedelta(days=4):%Y%m%d}"

    async def announce(self, *, capacity: int) -> None:
        """Puts the gym and its class up."""
        await self._stack.control(self._stack.aimharder_url, "boxes", BOX)
        await self._stack.control(
            self._stack.aimharder_url,
            "classes",
            {
                "box": BOX["slug"],
                "id": self.class_id,
                "day": self.day,
                "name": "WOD",
                "opens_at": self.at.isoformat(),
                "capacity": capacity,
            },
        )

    async def prebook(self, member: Member) -> dict[str, Any]:
        return await self._stack.prebook(
            member.email,
            {
                "box_subdomain": BOX["slug"],
                "box_aimharder_id": BOX["boid"],
                "booking_data": {"day": self.day, "id": self.class_id, "activityName": "WOD", "boxName": BOX["name"]},
                "available_at": self.at.isoformat(),
            },
        )

    async def result(self, member: Member, row: dict[str, Any]) -> dict[str, Any]:
        """Returns the row once it has ended, or at the end of the time limit."""
        left_s = self.seconds_left() + _WAIT_S
        while row["status"] not in _FINISHED and left_s > 0:
            await asyncio.sleep(0.2)
            left_s -= 0.2
            answer = await self._stack.http.get(
                f"{self._stack.service_url}/prebookings/{row['id']}", headers=self._stack.headers(member.email)
            )
            row = answer.json()
        return row

    async def results(self, wishes: Sequence[tuple[Member, dict[str, Any]]]) -> list[dict[str, Any]]:
        return list(await asyncio.gather(*(self.result(member, row) for member, row in wishes)))

    def seconds_left(self) -> float:
        return (self.at - datetime.now(UTC)).total_seconds()
