"""The old cron, beside us: it books part of the rows by itself and writes completed or failed, as it always did.

It has two habits. It *takes* a row a few seconds early (`executing`, by a guarded write), books, and ends it by id.
Or it books *directly*, what it read as pending, and ends it if it still is. Both can be judged, because it writes
only what the gym told it; its version that writes whatever it believes, by id alone, can't: its word would stand.
"""

import asyncio
import json
import time
from random import Random
from typing import Any
from uuid import UUID

import httpx
from tests.reliability.faults.plan import STRICT
from tests.reliability.faults.rows import Rows, cookies_of

from prebooking_local.stack import Stack

BY = "old-cron"  #: in the target of its requests, and in the result of its rows
_AHEAD_S = 5.0
_AFTER_OPENING_S = 0.03
_SHARE = 0.06
_SAME_HOUR = "NOPUEDESRESERVAMISMAHORA"
_LEASE_S = 120.0  # after the opening, the service settles what it took and never ended
_TO_SETTLE_S = 75.0


class OldCron:
    def __init__(self, stack: Stack, rows: Rows, rng: Random, ends_at: float) -> None:
        self._stack = stack
        self._rows = rows
        self._rng = rng
        self._ends_at = ends_at
        self._seen: set[UUID] = set()
        self.taken = 0
        self.direct = 0

    async def run(self) -> None:
        """Looks each second for what opens within five. Returns when it is cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(1)
                for row in await self._rows.fetch(
                    "select p.*, s.aimharder_cookies from public.prebookings p"
                    " join public.auth_sessions s on s.user_email = p.user_email"
                    " where p.status in ('pending', 'loaded') and p.box_subdomain = $1"
                    " and p.available_at between now() and now() + make_interval(secs => $2)",
                    STRICT["slug"],
                    _AHEAD_S,
                ):
                    if row["id"] not in self._seen:
                        self._seen.add(row["id"])
                        if self._rng.random() < _SHARE:
                            group.create_task(self._execute(dict(row)))

    async def _execute(self, row: dict[str, Any]) -> None:
        opening = row["available_at"].timestamp()
        # What it never ends is ours to settle, which must fit into the campaign.
        takes = self._rng.random() < 0.5 and opening + _LEASE_S < self._ends_at + _TO_SETTLE_S
        if takes:
            query = (
                "update public.prebookings set status = 'executing' where id = $1 and status in ('pending', 'loaded')"
            )
            if not await self._rows.fetch(f"{query} returning id", row["id"]):
                return
        await asyncio.sleep(max(0.0, opening + _AFTER_OPENING_S - time.time()))
        said = await self._book(row)
        if "bookState" not in said or (said.get("errorMssgLang") == _SAME_HOUR and not takes):
            return
        booked = said["bookState"] in (0, 1)
        guard = "" if takes else " and status in ('pending', 'loaded')"
        done = await self._rows.fetch(
            "update public.prebookings set status = $2, result = $3, error_message = $4, executed_at = now()"
            f" where id = $1{guard} returning id",
            row["id"],
            "completed" if booked else "failed",
            json.dumps({"success": booked, "by": BY, "bookingId": said.get("id"), "bookState": said["bookState"]}),
            None if booked else json.dumps(said),
        )
        self.taken += bool(done) and takes
        self.direct += bool(done) and not takes

    async def _book(self, row: dict[str, Any]) -> dict[str, Any]:
        """One request; nothing where there was no answer that says something."""
        data = json.loads(row["booking_data"])
        stored = cookies_of(row["aimharder_cookies"], row["user_email"])  # as if it had the key, too
        cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in stored)
        try:
            answer = await self._stack.http.post(
                f"{self._stack.aimharder_url}/{row['box_subdomain']}/api/book?by={BY}",
                headers={"Cookie": cookies},
                data={"id": data["id"], "day": data["day"], "insist": data.get("insist", 0), "familyId": ""},
                timeout=8,
            )
            said = answer.json() if answer.status_code == 200 else {}
        except (httpx.TransportError, ValueError):
            return {}
        return said if isinstance(said, dict) else {}
