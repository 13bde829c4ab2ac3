"""A member at one box: its listing, and the booking request, held on its connection until it is fired."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx

from prebooking.adapters.aimharder.account import AimHarderAccount
from prebooking.adapters.aimharder.answers import read_listing, read_reply
from prebooking.adapters.aimharder.cancellation import read_cancellation
from prebooking.adapters.aimharder.classes import read_timetable
from prebooking.adapters.aimharder.held_http import Hold, held
from prebooking.adapters.aimharder.hosts import Hosts
from prebooking.adapters.aimharder.session_client import SessionClient, json_of_200, redact_cookies
from prebooking.domain.classes import Listing, TimetabledClass
from prebooking.domain.cookies import domain_of
from prebooking.domain.errors import BoxSilentError
from prebooking.domain.giving_back import CancelReply
from prebooking.domain.outcome import Reply, ReplyKind
from prebooking.domain.ports import HeldRequest
from prebooking.domain.prebooking import BookingRequest, Box

_T = TypeVar("_T")


class AimHarderGym(AimHarderAccount):
    """See prebooking.domain.ports.Gym."""

    def __init__(self, client: SessionClient, hosts: Hosts, box: Box, now: Callable[[], float]) -> None:
        super().__init__(client, hosts)
        self._box_url = hosts.box(box)
        self._domain = domain_of(httpx.URL(self._box_url).host)
        self._box = box
        self._now = now

    async def listing(self, day: str, family_id: str) -> Listing:
        """Without a cookie of the box's domain nobody's standing is known: the listing is public."""
        signed = any(cookie.domain is self._domain for cookie in self.cookies)
        listing = await self._ask_for_day(read_listing, day, family_id)
        if not signed:
            listing.update({class_id: replace(listed, standing_known=False) for class_id, listed in listing.items()})
        return listing

    async def timetable(self, day: str) -> tuple[TimetabledClass, ...]:
        return await self._ask_for_day(read_timetable, day)

    async def _ask_for_day(self, read: Callable[[Any], _T], day: str, family_id: str = "") -> _T:
        params = {"day": day, "box": self._box.aimharder_id, "familyId": family_id}
        return await self._client.ask(read, "GET", f"{self._box_url}/api/bookings", params=params)

    async def give_back(self, reservation_id: str, family_id: str, *, late: bool) -> CancelReply:
        form = {"id": reservation_id, "late": str(int(late)), "familyId": family_id}
        cookies, read = self.cookies, json_of_200(read_cancellation)

        def read_redacted(status: int, body: bytes) -> CancelReply:
            return read(status, redact_cookies(body, cookies))

        return await self._client.ask_once(read_redacted, "POST", f"{self._box_url}/api/cancelBook", data=form)

    def hold(self, request: BookingRequest) -> HeldRequest:
        form = {
            "id": request.class_id or "",
            "day": request.day,
            "insist": str(request.insist),
            "familyId": request.family_id,
        }
        hold, cookies = Hold(self._now), self.cookies

        async def send() -> tuple[int, bytes, str]:
            held.set(hold)
            status, body, redirect_host = await self._client.send("POST", f"{self._box_url}/api/book", data=form)
            return status, redact_cookies(body, cookies), redirect_host

        return _HeldRequest(hold, form, asyncio.create_task(send()))


class _HeldRequest:
    """See prebooking.domain.ports.HeldRequest."""

    def __init__(self, hold: Hold, form: dict[str, str], sending: asyncio.Task[tuple[int, bytes, str]]) -> None:
        self._hold = hold
        self._form = form
        self._sending = sending

    async def ready(self) -> None:
        ready = asyncio.ensure_future(self._hold.ready.wait())
        try:
            await asyncio.wait((ready, self._sending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self._sending.done():  # a request that was not let go can only have failed
            raise BoxSilentError("no connection to the box") from self._sending.exception()

    async def lost(self) -> float:
        await asyncio.wait({self._sending})
        return self._hold.idle_s

    def aim(self, class_id: str) -> None:
        self._hold.body = urlencode(self._form | {"id": class_id}).encode()

    def fire(self) -> None:
        self._hold.fire()

    def warm(self) -> None:
        self._hold.warm()

    @property
    def fired_at(self) -> float | None:
        return self._hold.fired_at

    async def reply(self, *, within_s: float) -> Reply:
        try:
            async with asyncio.timeout(within_s):
                status, body, redirect_host = await self._sending
        except (httpx.HTTPError, TimeoutError) as exc:
            kind = ReplyKind.NEVER_LEFT if self._hold.fired_at is None else ReplyKind.NO_ANSWER
            return Reply(kind, detail=type(exc).__name__)
        return read_reply(status, body, redirect_host)

    async def aclose(self) -> None:
        self._sending.cancel()
        await asyncio.wait({self._sending})
