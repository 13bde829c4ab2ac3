"""GET /prebookings/events: changes of the user's prebookings as server-sent events."""

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from prebooking.domain.errors import CursorUnknownError
from prebooking.domain.ports import Clock
from prebooking.usecases.event_broadcaster import Change, EventBroadcaster, Listener, TooManyListenersError
from prebooking.web.auth import Caller
from prebooking.web.extensions import abort
from prebooking.web.openapi.operations import OF_USERS, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import Problem, invalid
from prebooking.web.schemas.rows import as_json
from prebooking.web.services import services_of

_HEARTBEAT_S = 15.0
_COME_BACK_MS = 2000
_LONGEST_CURSOR = 16 * 1024
# Proxies that buffer or compress responses would hold the events back.
_HEADERS = {"Cache-Control": "no-cache, no-store, no-transform", "X-Accel-Buffering": "no"}


async def follow(request: Request) -> Response:
    services = services_of(request)
    caller = await services.users.caller(request)
    if request.method == "HEAD":
        return Response(headers=_HEADERS, media_type="text/event-stream")
    since = request.headers.get("last-event-id") or None
    if since and len(since) > _LONGEST_CURSOR:
        raise _unknown_cursor()
    stream = _EventStream(caller, services.clock)
    await stream.open(services.events, since)
    return stream


class _EventStream(Response):
    """Streams until the client disconnects or reads too slowly, the token expires, or the replica stops."""

    def __init__(self, caller: Caller, clock: Clock) -> None:
        super().__init__(headers=_HEADERS, media_type="text/event-stream")
        del self.headers["content-length"]
        self._caller = caller
        self._clock = clock
        self._listening = AsyncExitStack()
        self._listener: Listener

    async def open(self, events: EventBroadcaster, since: str | None) -> None:
        """Raises Problem; once the stream has begun, no problem can be sent."""
        try:
            self._listener = await self._listening.enter_async_context(events.listen(self._caller.email, since))
        except TooManyListenersError as exc:
            raise _too_many() from exc
        except CursorUnknownError as exc:
            raise _unknown_cursor() from exc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._listening:
            writing = asyncio.create_task(self._write(send))
            leaving = asyncio.create_task(_until_left(receive))
            too_slow = asyncio.create_task(self._listener.too_slow.wait())
            ends = {writing, leaving, too_slow}
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if too_slow.done() and not writing.done():
                    abort(scope)
                    writing.cancel()
                    await leaving
            finally:
                for task in ends:
                    task.cancel()
                await asyncio.wait(ends)

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

        async def write(text: str, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": more})

        await write(f"retry: {_COME_BACK_MS}\n{self._beat()}")
        reason = "token-expired"
        while (left := self._left()) > 0:
            try:
                async with asyncio.timeout(min(left, _HEARTBEAT_S)):
                    change = await self._listener.next()
            except TimeoutError:
                await write(self._beat())
                continue
            if change is None:
                reason = "stopping"
                break
            await write(_event(change))
            await asyncio.sleep(0)  # a write that does not block would starve other tasks
        await write(f'event: end\ndata: {{"reason": "{reason}"}}\n\n', more=False)

    def _left(self) -> float:
        """Returns for how many seconds the token is still valid."""
        return float("inf") if self._caller.until is None else self._caller.until - self._clock.wall()

    def _beat(self) -> str:
        """Returns the comment that keeps the connection open, with the current cursor and this host's time."""
        now = datetime.fromtimestamp(self._clock.wall(), UTC).isoformat(timespec="milliseconds")
        return f": {now}\nid: {self._listener.cursor}\n\n"


def _event(change: Change) -> str:
    if change.prebooking is None:
        return f"event: reset\nid: {change.cursor}\ndata: {{}}\n\n"
    data = json.dumps(as_json(change.prebooking), ensure_ascii=False, separators=(",", ":"))
    return f"event: prebooking\nid: {change.cursor}\ndata: {data}\n\n"


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _too_many() -> Problem:
    detail = "You have too many open event streams: close those that you don't read, then try again."
    return Problem(429, detail, code="too-many", headers={"Retry-After": "5"})


def _unknown_cursor() -> Problem:
    return invalid("Last-Event-ID", "is not the id of an event: leave the header out, and list the prebookings again")


_FOLLOW = """\
Streams changes as server-sent events. Read it with `fetch`, which can send the Authorization header. Open the stream
first, then list the prebookings, so that no change is missed.

* `prebooking`: a prebooking after a change, whoever made it. Of changes in quick succession only the last may be sent.
* `reset`: more than 100 changes were missed since `Last-Event-ID`. List the prebookings again; the stream continues.
* `end`: why the stream ends: `token-expired`, or `stopping` (reconnect at once).

To resume, send the `id` of the last event as `Last-Event-ID`. A comment every 15 s keeps the connection open. A client
that does not read is disconnected."""

ROUTES = [
    ApiRoute(
        "GET",
        "/prebookings/events",
        follow,
        Operation(
            id="followPrebookings",
            tag="prebookings",
            summary="Stream changes of the user's prebookings",
            description=_FOLLOW,
            responses={200: ResponseSpec("The event stream.", str, media_type="text/event-stream")},
            problems=(
                *OF_USERS,
                *(_unknown_cursor(), _too_many()),
            ),
        ),
    )
]
