"""The API's own faults: it refuses, hangs, or loses the answer to what it did."""

from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prebooking_local.qstash.clock import Clock
from prebooking_local.qstash.faults import ApiFault, Faults, drawn

_LIMIT_HEADERS = {"daily": "RateLimit-", "burst": "Burst-RateLimit-"}
_PUBLISHES = ("/v2/publish/", "/v2/batch", "/v2/enqueue/")


@dataclass(frozen=True)
class FaultyApi:
    app: ASGIApp
    faults: Faults
    clock: Clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v2/"):
            await self.app(scope, receive, send)
        elif self._strikes(self.faults.api_refused, scope):
            await _hang_up(receive, send)
        elif self._strikes(self.faults.api_hangs, scope):
            await _until_the_client_leaves(receive)
        elif status := self._strikes(self.faults.api_status, scope):
            await JSONResponse({"error": "injected fault"}, status)(scope, receive, send)
        elif self._strikes(self.faults.other_region, scope):
            await JSONResponse({"error": "user not found in this region"}, 404)(scope, receive, send)
        elif family := self._strikes(self.faults.api_limit, scope):
            await self._limited(family)(scope, receive, send)
        elif self._strikes(self.faults.api_answer_lost, scope):
            await self.app(scope, receive, _swallow)
            await _hang_up(receive, send)
        else:
            await self.app(scope, receive, send)

    def _strikes(self, fault: ApiFault[Any] | None, scope: Scope) -> Any:
        if fault is None or fault.on not in {"any", _kind(scope)}:
            return None
        return drawn(fault)

    def _limited(self, family: str) -> JSONResponse:
        prefix = _LIMIT_HEADERS[family]
        reset = str(int(self.clock.time()) + 60)
        headers = {f"{prefix}Limit": "1000", f"{prefix}Remaining": "0", f"{prefix}Reset": reset}
        return JSONResponse({"error": f"{family} rate limit exceeded"}, 429, headers)


def _kind(scope: Scope) -> str:
    if scope["method"] == "POST" and scope["path"].startswith(_PUBLISHES):
        return "publish"
    if scope["method"] == "DELETE" and scope["path"].startswith("/v2/messages"):
        return "cancel"
    return "other"


async def _swallow(_: Message) -> None:
    pass


async def _hang_up(receive: Receive, send: Send) -> None:
    """Closes the connection without an answer, which only the server's own request cycle, its `send`, can do."""
    send.__self__.transport.abort()  # type: ignore[attr-defined]  # uvicorn's, not ASGI's
    await _until_the_client_leaves(receive)


async def _until_the_client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
