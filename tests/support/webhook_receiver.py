"""A webhook receiver that verifies as Standard Webhooks' own library does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from prebooking_local.serving import serve_asgi

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="


@dataclass
class Receiver:
    url: str
    statuses: list[int] = field(default_factory=list)  #: answered first, one after the other; then 204
    received: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    queries: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, Any]:
        return {"notify_webhook_url": self.url, "notify_webhook_secret": SECRET}

    async def receive(self, request: Request) -> Response:
        verified = Webhook(SECRET).verify(await request.body(), dict(request.headers))
        self.received.append(verified)
        self.ids.append(request.headers["webhook-id"])
        self.queries.append(request.query_params)
        return Response(status_code=self.statuses.pop(0) if self.statuses else 204)

    async def wait_for(
        self, number: int, such: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> list[dict[str, Any]]:
        """Returns the notices that are `such`, once there are so many."""
        async with asyncio.timeout(60):
            while len(found := [one for one in self.received if such(one)]) < number:
                await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    listening = Receiver("")
    app = Starlette(routes=[Route("/hook", listening.receive, methods=["POST"])])
    async with serve_asgi(app, host="127.0.0.1", port=0) as url:
        listening.url = f"{url}/hook"
        yield listening
