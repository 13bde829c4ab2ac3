"""A member at one box: the listing, and the booking request, which is held on its connection until it is fired."""

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
from prebooking.adapters.aimharder.held_http import Hold
from prebooking.adapters.aimharder.hosts import Hosts
from prebooking.adapters.aimharder.session_client import SessionClient, json_of_200, redact_cookies
from prebooking.adapters.http11.client import split_url
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
        self._domain = domain_of(split_url(self._box_url)[0].host)
        self._box = box
        self._now = now

    async def listing(self, day: str, family_id: str) -> Listing:
        """Returns the day's listing.

        It is public: without a cookie for the box's domain it does not show the user's bookings.
        """
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

        return await self._client.ask_once(read_redacted, "POST", f"{self._box_url}/api/cancelBook", form=form)

    def hold(self, request: BookingRequest) -> HeldRequest:
        form = {
            "id": request.class_id or "",
            "day": request.day,
            "insist": str(request.insist),
            "familyId": request.family_id,
        }
        url = f"{self._box_url}/api/book"
        return _HeldRequest(self._client, url, form, self._client.hold(url, _body(form), self._now))


class _HeldRequest:
    """See prebooking.domain.ports.HeldRequest."""

    def __init__(self, client: SessionClient, url: str, form: dict[str, str], hold: Hold) -> None:
        self._client = client
        self._url = url
        self._form = form
        self._hold = hold
        self._cookies = client.cookies

    async def ready(self) -> None:
        try:
            await self._hold.ready()
        except httpx.HTTPError as exc:
            raise BoxSilentError("no connection to the box") from exc

    async def lost(self) -> float:
        return await self._hold.lost()

    def aim(self, class_id: str) -> None:
        self._hold.replace(_body(self._form | {"id": class_id}))

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
                status, body, redirect_host = await self._client.answer_to(self._hold, self._url, self._cookies)
        except (httpx.HTTPError, TimeoutError) as exc:
            kind = ReplyKind.NEVER_LEFT if self._hold.fired_at is None else ReplyKind.NO_ANSWER
            return Reply(kind, detail=type(exc).__name__)
        body = redact_cookies(body, self._cookies)
        return read_reply(status, body, redirect_host, may_be_cut_off=self._hold.may_be_cut_off)

    async def aclose(self) -> None:
        self._hold.close()


def _body(form: dict[str, str]) -> bytes:
    return urlencode(form).encode()
