"""Faults that can be injected: which requests they affect, and for how long."""

from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from prebooking_local.aimharder.ledger import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal[
    # how the gym sees the request
    "clock",  # the gym's clock is `seconds` ahead of ours (negative: behind)
    "stale",  # a listing doesn't show the reservations of the last `seconds`
    "late",  # the request is carried out only after `seconds`, even if its sender has left by then
    # what becomes of the answer; each may also wait `seconds` for it
    "slow",  # as decided, late
    "hang",  # none, and the connection stays open
    "reset",  # none, and the connection is reset
    "truncated",  # the first half of the body, then the end
    "status",  # an error page with `status`: 403 a block page, 429 (invented), 500, 502, 503, 504
    "login_page",  # 200 and HTML
    "empty",  # 200 and nothing
    "html_text",  # 200, no bookState, a text with tags
    "redirect",  # 302 to the login page, or to `location`
    "shape",  # a listing of another `shape`
    "huge",  # `bytes` of it
    "gzip_bomb",  # `bytes` of it, once unpacked
    "logout",  # as for a dead session, though it lives
    # the door: new connections are refused, for `seconds` if given. Kept ones live on, so that it can be lifted
    "refuse",
    # a connection on which nothing has happened for `seconds`, whose last request matches; `times` counts connections
    "idle_timeout_s",  # closed, as servers do
    "idle_drop_s",  # forgotten without a word, as middleboxes do: it looks open, and nothing comes through any more
]
Shape = Literal[
    "gaps",  # arrays as PHP writes those with gaps: objects
    "strings",  # numbers as strings
    "start_alone",  # the hour without its end
    "hour_elsewhere",  # only in `timetable`, by `timeid`
    "no_hours",
    "odd_row",  # one more row, which is none
]
_VIEWS = frozenset({"clock", "stale", "late"})
IDLE = frozenset({"idle_timeout_s", "idle_drop_s"})
_NO_REQUESTS = IDLE | {"refuse"}
_CARRIED_OUT = frozenset({"slow", "hang", "reset", "truncated", "shape"})


class Fault(BaseModel):
    """A fault. It affects the next `times` requests that match all given fields, or all until it is cleared."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    path: str | None = None  # as within the box: /api/book
    member: str | None = None
    box: str | None = None
    times: int | None = Field(default=None, ge=1)
    seconds: float = Field(default=0, allow_inf_nan=False)
    status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR
    location: str = "https://login.aimharder.com/"
    shape: Shape = "gaps"
    bytes: int = 20_000_000
    handled: bool | None = None  # is the request carried out? None: as is usual for the kind

    @model_validator(mode="after")
    def _is_an_idle_time(self) -> Self:
        if self.kind in IDLE and self.seconds <= 0:
            raise ValueError(f"{self.kind} needs seconds")
        return self

    @property
    def carries_out(self) -> bool:
        return self.kind in _CARRIED_OUT if self.handled is None else self.handled

    def meets(self, entry: Entry) -> bool:
        return self.kind not in _NO_REQUESTS and self.matches(entry)

    def matches(self, entry: Entry) -> bool:
        return (
            self.path in (None, entry.request.path)
            and self.box in (None, entry.request.box)
            and (self.member is None or self.member.lower() == (entry.member or "").lower())
        )


@dataclass(slots=True)
class Bend:
    """The effects of the faults on one request."""

    clock_s: float = 0
    stale_s: float = 0
    late_s: float = 0
    spoiler: Fault | None = None

    @property
    def carries_out(self) -> bool:
        return self.spoiler is None or self.spoiler.carries_out


class Faults:
    """The active faults, in order. Of those that change an answer only the first that matches a request applies."""

    def __init__(self) -> None:
        self.active: dict[int, Fault] = {}
        self.on_change: Callable[[], None] = lambda: None
        self._numbers = count(1)

    def add(self, fault: Fault) -> int:
        number = next(self._numbers)
        self.active[number] = fault.model_copy()
        self.on_change()
        return number

    def clear(self, number: int | None = None) -> None:
        if number is None:
            self.active.clear()
        else:
            self.active.pop(number, None)
        self.on_change()

    def meet(self, entry: Entry) -> Bend:
        bend = Bend()
        for number, fault in list(self.active.items()):
            is_view = fault.kind in _VIEWS
            if not fault.meets(entry) or (bend.spoiler and not is_view):
                continue
            self.count_down(number, fault)
            if fault.kind == "clock":
                bend.clock_s += fault.seconds
            elif fault.kind == "stale":
                bend.stale_s = max(bend.stale_s, fault.seconds)
            elif fault.kind == "late":
                bend.late_s += fault.seconds
            else:
                bend.spoiler = fault
        return bend

    def count_down(self, number: int, fault: Fault) -> None:
        if fault.times is None:
            return
        fault.times -= 1
        if fault.times == 0:
            del self.active[number]
