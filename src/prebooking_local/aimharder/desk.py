"""Accepts requests, decides them one by one, and sends the answers, with the active faults.

Reading comes first: a request waits until no other has come for a moment, and between two decisions the event
loop looks at all its sockets again. So the stamp of an arrival never waits for more than one decision.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from prebooking_local.aimharder import routes
from prebooking_local.aimharder.accounts import balancer_cookies
from prebooking_local.aimharder.control import control
from prebooking_local.aimharder.faults import Bend
from prebooking_local.aimharder.framing import Frame
from prebooking_local.aimharder.ledger import Entry
from prebooking_local.aimharder.protocol import Connection
from prebooking_local.aimharder.request import Request
from prebooking_local.aimharder.site import Call, Site
from prebooking_local.aimharder.spoiling import spoil
from prebooking_local.aimharder.wire import Answer, as_html, encode

QUIET_S = 0.001
LONGEST_WAIT_S = 0.05  # the longest delay for other requests


class FrontDesk:
    def __init__(self, site: Site) -> None:
        self.connections: set[Connection] = set()
        self.deserted = asyncio.Event()
        self.deserted.set()
        self._site = site
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[tuple[Connection, Frame]] = deque()
        self._last_arrival = 0.0
        self._oldest_arrival = 0.0
        self._due = False

    def connected(self, connection: Connection) -> None:
        self.connections.add(connection)
        self.deserted.clear()

    def left(self, connection: Connection, torn: Frame | None) -> None:
        self.connections.discard(connection)
        if connection.serving is not None:
            connection.serving.left_ns = self._site.clock()
        if not self.connections:
            self.deserted.set()
        if torn is not None:
            self._record(connection, torn)

    def arrived(self, connection: Connection, frame: Frame) -> None:
        self._last_arrival = self._loop.time()
        self._inbox.append((connection, frame))
        if not self._due:
            self._due = True
            self._oldest_arrival = self._last_arrival
            self._loop.call_later(QUIET_S, self._take_one)

    def _take_one(self) -> None:
        now = self._loop.time()
        if now - self._last_arrival < QUIET_S and now - self._oldest_arrival < LONGEST_WAIT_S:
            self._loop.call_later(QUIET_S, self._take_one)
            return
        connection, frame = self._inbox.popleft()
        self._due = bool(self._inbox)
        if self._due:
            self._loop.call_soon(self._take_one)
        connection.waiting.append(self._record(connection, frame))
        if not connection.busy:
            self._serve(connection)

    def _record(self, connection: Connection, frame: Frame) -> Entry:
        request = Request.read(connection.number, frame)
        owner = self._site.accounts.owner(request.auth)
        entry = connection.last = Entry(request, member=owner.member.email if owner else request.login_name)
        if not request.is_control:
            self._site.ledger.entries.append(entry)
        return entry

    def _serve(self, connection: Connection) -> None:
        connection.busy = True
        entry = connection.serving = connection.waiting.popleft()
        if entry.request.is_control:
            self._send(connection, entry, control(self._site, entry.request))
            return
        bend = self._site.faults.meet(entry)
        self._after(bend.late_s, lambda: self._decide(connection, entry, bend))

    def _decide(self, connection: Connection, entry: Entry, bend: Bend) -> None:
        answer = as_html("")
        if bend.carries_out:
            answer = routes.answer(Call(self._site, entry.request, bend))
            entry.decided = answer.says
        if bend.spoiler is None:
            self._send(connection, entry, answer)
        else:
            self._after(bend.spoiler.seconds, lambda: self._send_spoilt(connection, entry, bend, answer))

    def _send_spoilt(self, connection: Connection, entry: Entry, bend: Bend, decided: Answer) -> None:
        assert bend.spoiler is not None
        entry.fault = bend.spoiler.kind
        match bend.spoiler.kind:
            case "hang":
                pass  # it stays busy, so whatever else comes on this connection waits with it
            case "reset":
                connection.serving = None
                connection.reset()
            case "truncated":
                payload = encode(decided, keep_alive=False)
                entry.status = decided.status
                connection.serving = None
                connection.write(payload[: len(payload) - (len(decided.body) + 1) // 2])
                connection.close()
            case _:
                self._send(connection, entry, spoil(bend.spoiler, decided))

    def _send(self, connection: Connection, entry: Entry, answer: Answer) -> None:
        for name, value in balancer_cookies().items():
            answer.set_cookie(name, value, "")
        connection.serving = None
        keep_alive = entry.request.keep_alive and entry.request.refusal is None
        written = connection.write(encode(answer, keep_alive=keep_alive))
        entry.status = answer.status
        entry.answered_ns = self._site.clock()
        entry.delivered = written and entry.fault in (None, "slow")
        if not keep_alive:
            connection.close()
        elif connection.waiting:
            self._loop.call_soon(self._serve, connection)
        else:
            connection.busy = False

    def _after(self, seconds: float, step: Callable[[], None]) -> None:
        if seconds > 0:
            self._loop.call_later(seconds, step)
        else:
            step()
