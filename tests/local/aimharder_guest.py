"""A gym with one class that opens in a minute, on a clock that the test turns, and members who ask for it."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from prebooking_local.aimharder import AimHarder, Box, GymClass, Member, aimharder_server

SECOND = 1_000_000_000
BOOK, LISTING, CANCEL = "/api/book", "/api/bookings", "/api/cancelBook"
DAY, CLASS_ID = "20300117", 501


@dataclass
class TurnedClock:
    """Stands still until it is turned."""

    now_ns: int = field(default_factory=time.time_ns)

    def __call__(self) -> int:
        return self.now_ns

    def turn(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND)


@dataclass
class Guest:
    """A member's browser: keeps its cookies by hand, as who stores them by name and value does."""

    client: httpx.AsyncClient
    cookies: dict[str, str]
    token: str
    prefix: str = "/mygym"

    async def request(self, method: str, path: str, **content: Any) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self.client.request(method, path, headers={"Cookie": cookie}, **content)
        for header in answer.headers.get_list("set-cookie"):
            name, _, rest = header.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return answer

    async def post(self, path: str, **form: Any) -> Any:
        return (await self.request("POST", self.prefix + path, data=form)).json()

    async def get(self, path: str, **query: Any) -> Any:
        return (await self.request("GET", self.prefix + path, params=query)).json()

    async def book(self, class_id: int = CLASS_ID, **form: Any) -> Any:
        return await self.post(BOOK, **{"id": class_id, "day": DAY, "insist": 0, "familyId": ""} | form)

    async def listing(self, day: str = DAY, **query: Any) -> Any:
        return await self.get(LISTING, **{"day": day, "box": 7, "familyId": "", "_": 1} | query)

    async def row(self, class_id: int = CLASS_ID, **query: Any) -> Any:
        rows = (await self.listing(**query))["bookings"]
        return next(row for row in rows if row["id"] == class_id)

    async def refresh(self, token: str | None = None) -> Any:
        form = {"token": token or self.token, "ciclo": "1", "fingerprint": "f" * 50}
        answer: dict[str, str] = (await self.request("POST", "/api/tokenUpdate", data=form)).json()
        self.token = answer.get("newToken", self.token)
        return answer


@dataclass
class Town:
    """The stand-in under test, beside the test in one event loop."""

    aimharder: AimHarder
    clock: TurnedClock
    client: httpx.AsyncClient

    def box(self, **rules: Any) -> None:
        self.aimharder.gym.put_box(Box.model_validate({"slug": "mygym", "boid": 7} | rules))

    def hold(self, class_id: int = CLASS_ID, **details: Any) -> GymClass:
        opening = {"box": "mygym", "id": class_id, "day": DAY, "opens_at": self.clock() + 60 * SECOND}
        gym_class = GymClass.model_validate(opening | details)
        self.aimharder.gym.put_class(gym_class)
        return gym_class

    def member(self, email: str = "ana@example.com", **details: Any) -> Guest:
        accounts = self.aimharder.accounts
        accounts.put_member(Member.model_validate({"email": email} | details))
        session = accounts.stored_session(email, self.clock())
        return Guest(self.client, {c["name"]: c["value"] for c in session.cookies()}, session.token)

    def stranger(self) -> Guest:
        return Guest(self.client, {}, "")

    def open(self) -> None:
        """Turns the clock to the opening."""
        self.clock.turn(60)


@asynccontextmanager
async def new_town() -> AsyncIterator[Town]:
    clock = TurnedClock()
    async with AsyncExitStack() as stack:
        aimharder = await stack.enter_async_context(aimharder_server(clock=clock))
        client = httpx.AsyncClient(base_url=aimharder.url, timeout=5, verify=False)  # no TLS here to prepare
        town = Town(aimharder, clock, await stack.enter_async_context(client))
        town.box()
        town.hold()
        yield town
