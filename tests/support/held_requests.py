"""A class that opens, and members whose requests are kept until then: in leaping time, or in life."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

from prebooking.adapters.aimharder.client import AimHarder
from prebooking.domain import ports
from prebooking.domain.cookies import Cookie
from prebooking.domain.opening_clock import OpeningClock
from prebooking.domain.outcome import Reply
from prebooking.domain.ports import Gym, HeldRequest
from prebooking.domain.prebooking import BookingRequest, Box, Session
from prebooking.usecases.booking.gate import Gate
from prebooking.usecases.booking.renewed_request import RenewedRequest
from prebooking_local.aimharder import AimHarder as GymServer
from prebooking_local.aimharder import Box as GymBox
from prebooking_local.aimharder import Fault, GymClass, Member

START = datetime(2030, 1, 1, tzinfo=UTC)
BOX, DAY = Box(subdomain="mygym", aimharder_id="7"), "20300117"


class Clock(ports.Clock, Protocol):
    """The gym's too."""

    def time(self) -> float: ...
    def nanoseconds(self) -> int: ...


@dataclass
class Opening:
    """A class that opens in `lead_s`, and members whose requests wait for it."""

    clock: Clock
    gym: GymServer
    lead_s: float
    at: float = 0.0
    may_send: bool = True
    holds: int = 0
    slowness_s: float = 0.0  #: of holding it anew
    on_hold: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.at = self.clock.time() + self.lead_s
        self.opening_clock = OpeningClock(self.clock)
        self.gate = Gate(self.opening_clock)
        self.gyms = AimHarder(f"{self.gym.url}/{{box}}", self.gym.url, None, self.clock.time)
        self.gym.gym.put_box(GymBox(slug=BOX.subdomain, boid=7))

    def inject_fault(self, **fault: Any) -> int:
        return self.gym.faults.add(Fault.model_validate(fault))

    def before(self, seconds: float, step: Callable[[], Any]) -> None:
        """Has it done so many seconds before the opening."""
        asyncio.get_running_loop().call_later(self.at - seconds - self.clock.time(), step)

    def close_connections(self, number: int | None = None) -> None:
        self.inject_fault(kind="idle_timeout_s", seconds=1e-9, times=number)
        if number is None:
            self.gym.faults.clear()

    def session(self, n: int) -> Session:
        self.gym.accounts.put_member(Member(email=f"member{n}@example.com"))
        theirs = self.gym.accounts.stored_session(f"member{n}@example.com", self.clock.nanoseconds())
        return Session(
            id=uuid4(),
            user_email=theirs.member.email,
            token=theirs.token,
            stored_token=theirs.token,
            cookies=tuple(Cookie(cookie["name"], cookie["value"]) for cookie in theirs.cookies()),
            fingerprint=theirs.fingerprint,
        )

    @asynccontextmanager
    async def visited(self, n: int = 0) -> AsyncIterator[tuple[Gym, BookingRequest]]:
        opens_at = datetime.fromtimestamp(self.at, UTC)
        self.gym.gym.put_class(
            GymClass.model_validate({"box": BOX.subdomain, "id": 500 + n, "day": DAY, "opens_at": opens_at.isoformat()})
        )
        async with self.gyms.visit(BOX, self.session(n)) as gym:
            await gym.listing(DAY, "")
            yield gym, BookingRequest(day=DAY, class_id=str(500 + n), family_id="", insist=0)

    async def keep(self, gym: Gym, request: BookingRequest) -> RenewedRequest:
        async def hold() -> HeldRequest:
            self.holds += 1
            self.on_hold()
            if self.holds > 1:
                await self.clock.sleep(self.slowness_s)
            held = gym.hold(request)
            try:
                await held.ready()
            except BaseException:
                await held.aclose()
                raise
            return held

        return RenewedRequest(
            await hold(),
            hold,
            opening=self.at,
            clock=self.opening_clock,
            quiet=self.gate.quiet,
            may_send=lambda: self.may_send,
        )

    async def execute(self, n: int = 0) -> tuple[Reply, float]:
        """What came back, and how late it had left."""
        async with self.visited(n) as (gym, request):
            kept = await self.keep(gym, request)
            try:
                await self.gate.pass_through(self.at, (START, UUID(int=n)), kept.fire)
                reply = await kept.reply(within_s=5)
                return reply, -1 if kept.fired_at is None else kept.fired_at - self.at
            finally:
                await kept.aclose()

    @property
    def booked(self) -> int:
        return len(self.gym.site.bookings())
