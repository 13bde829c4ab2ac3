"""The gym of one case: its member and class, the faults injected there, and its ledger."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from prebooking_local.names import Zone
from prebooking_local.stack import Stack

BOOK, LISTING, WHOAMI, REFRESH = "/api/book", "/api/bookings", "/api/whoami", "/api/tokenUpdate"
LOGIN = "/api/login"
STRICT, LAX = "mygym", "laxgym"
#: The usual gym refuses a second booking of the same hour; the lax one takes it.
_BOXES = {STRICT: {"slug": STRICT, "boid": 7}, LAX: {"slug": LAX, "boid": 8, "same_hour_refused": False}}
_ANOTHER = 1_000_000


async def put_boxes_up(stack: Stack) -> None:
    await stack.control(stack.aimharder_url, "boxes", list(_BOXES.values()))


@dataclass(slots=True)
class Box:
    stack: Stack
    name: str
    email: str  #: the member's
    class_id: int
    zone: Zone  #: what its names, and the account host's, lead to
    opens_at: datetime = field(init=False)
    _faults: list[int] = field(default_factory=list)
    _lasting: list[int] = field(default_factory=list)
    _withdrawn: bool = False

    @property
    def number(self) -> Any:
        return _BOXES[self.name]["boid"]

    @property
    def day(self) -> str:
        """Of its own, so that listings stay short."""
        return f"{self.opens_at + timedelta(days=4 + self.class_id % 2000):%Y%m%d}"

    @property
    def opens_ns(self) -> int:
        return int(self.opens_at.timestamp()) * 1_000_000_000

    async def open_class(self, in_s: float, *, unlisted: bool = False) -> None:
        """Puts the class up; it opens at the first whole second that is at least so far ahead.

        `unlisted`: until then the listing has another one alone.
        """
        self.opens_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1 + in_s)
        if unlisted:
            await self._put_class(self.class_id + _ANOTHER, time="20:00 - 21:00")
        await self._put_class(self.class_id, listed_at_opening=unlisted)

    async def withdraw_class(self) -> None:
        """The gym cancels the class: one that it merely doesn't list may yet be listed."""
        await self._put_class(self.class_id, cancelled_id=1)
        self._withdrawn = True

    async def inject_fault(self, kind: str, path: str, *, lasting: bool = False, **more: Any) -> None:
        """Injects a fault for this member. `lasting`: it outlasts the trigger of the case's own fault."""
        added = await self._control("faults", [{"kind": kind, "path": path, "member": self.email} | more])
        (self._lasting if lasting else self._faults).extend(added["faults"])

    async def clear_faults(self) -> None:
        """Removes the faults, but for the lasting ones, and puts the class up again."""
        await self._lift(self._faults)
        self.zone.silent, self.zone.after_s = False, 0.0
        if self._withdrawn:
            await self._put_class(self.class_id)
            self._withdrawn = False

    async def close(self) -> None:
        await self.clear_faults()
        await self._lift(self._lasting)

    async def _lift(self, faults: list[int]) -> None:
        for number in faults:
            await self.stack.http.delete(f"{self.stack.aimharder_url}/_control/faults", params={"id": number})
        faults.clear()

    async def sessions(self) -> list[dict[str, Any]]:
        """All sessions that the member ever had, as the gym's ledger has them."""
        everybodys = (await self._control("sessions"))["sessions"]
        return [session for session in everybodys if session["member"] == self.email]

    async def sign_up(self, password: str) -> None:
        await self._control("members", [{"email": self.email, "password": password}])

    async def new_session(self) -> dict[str, Any]:
        session: dict[str, Any] = (await self._control("sessions", [{"member": self.email}]))["members"][0]
        return session

    async def end_sessions(self) -> None:
        await self._control("sessions/kill", [{"member": self.email}])

    async def accepts(self, cookies: list[dict[str, str]]) -> bool:
        """Returns whether the gym takes these cookies for a living session."""
        header = {"Cookie": "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in cookies)}
        answer = await self.stack.http.get(f"{self.stack.aimharder_url}{WHOAMI}", headers=header)
        return bool(answer.json().get("data"))

    async def bookings(self) -> list[dict[str, Any]]:
        """What the member holds."""
        everybodys = (await self._control("bookings"))["bookings"]
        return [booking for booking in everybodys if booking["member"] == self.email]

    async def requests_ns(self) -> list[int]:
        """The first byte of each of the member's booking requests."""
        stamps = (await self._control("stamps"))["stamps"]
        return [first_byte for path, member, first_byte, _ in stamps if (path, member) == (BOOK, self.email)]

    async def request_log(self) -> list[str]:
        """Returns a line for each request of this member."""
        entries = (await self._control("ledger"))["requests"]
        return [
            f"{datetime.fromtimestamp(entry['first_byte_ns'] / 1e9, UTC):%T.%f} {entry['path']} {entry['status']}"
            f" {entry['fault'] or ''} {str(entry['decided'])[:200]}"
            for entry in entries
            if entry["member"] == self.email
        ]

    async def _put_class(self, class_id: int, **more: Any) -> None:
        values = {"box": self.name, "id": class_id, "day": self.day, "opens_at": self.opens_at.isoformat()}
        await self._control("classes", values | more)

    async def _control(self, what: str, content: Any = None) -> Any:
        return await self.stack.control(self.stack.aimharder_url, what, content)
