"""What the tests of the page do with it, and what they keep an eye on meanwhile."""

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from playwright.async_api import ConsoleMessage, Locator, Page, Request, expect
from tests.support.world import BOX, World

from prebooking_local.aimharder import GymClass

ANA = "ana@example.com"
MADRID = ZoneInfo("Europe/Madrid")


class Watched:
    """A page, with all that it asked for and complained of."""

    def __init__(self, page: Page, world: World) -> None:
        self.page = page
        self.world = world
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self.expected: list[str] = []  #: parts of complaints that the test provokes
        self._day: datetime | None = None
        self.watch(page)

    def watch(self, page: Page) -> None:
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).netloc)

    def check(self) -> None:
        assert self.hosts <= {urlsplit(url).netloc for url in (self.world.url, self.world.gateway.url)}
        left = [said for said in self.complaints if not any(part in said for part in self.expected)]
        assert left == []

    async def sign_in(self, *, listing: bool = True, at: str | None = None) -> None:
        await self.page.goto(at or self.world.url)
        await self.page.get_by_role("button", name=ANA).click()
        await expect(self.page.get_by_role("heading", name="Your prebookings")).to_be_visible()
        await expect(self.page.locator("#live-word")).to_have_text("Live")
        if listing:
            await self.choose_day()

    async def choose_day(self) -> None:
        """The day of the class that was put up last."""
        if self._day:
            await self.page.locator(f'.days [data-day="{self._day:%Y%m%d}"]').click()

    def put_up(self, name: str = "WOD", *, opens_in: timedelta = timedelta(hours=1), **more: Any) -> datetime:
        """A class that opens then by the page's usual rule, four days before; the gym itself takes bookings already.

        Returns when it opens, to the minute.
        """
        opens_at = (datetime.now(MADRID) + opens_in).replace(second=0, microsecond=0)
        starts = self._day = opens_at + timedelta(days=4)
        values = {
            "box": BOX.slug,
            "id": 501,
            "day": f"{starts:%Y%m%d}",
            "time": f"{starts:%H:%M} - {starts + timedelta(hours=1):%H:%M}",
            "name": name,
            "opens_at": (opens_at - timedelta(days=1)).isoformat(),
        }
        self.world.gym.gym.put_class(GymClass.model_validate(values | more))
        return opens_at

    def card(self, name: str = "WOD") -> Locator:
        return self.page.locator("#mine > li", has=self.page.get_by_role("heading", name=name))

    def row(self, name: str = "WOD") -> Locator:
        return self.page.locator(".classes > li", has=self.page.get_by_role("heading", name=name))

    async def prebook(self, name: str = "WOD") -> Locator:
        """Presses the button in the listing; the card that comes of it."""
        await self.row(name).get_by_role("button", name=re.compile("^(Prebook|Book now)")).click()
        await expect(self.card(name)).to_be_visible()
        return self.card(name)
