"""What the real service doesn't have: switches for its faults, and a look at every message."""

from dataclasses import dataclass

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from prebooking_local.qstash.broker import Broker
from prebooking_local.qstash.faults import Faults
from prebooking_local.qstash.message_routes import json_body
from prebooking_local.qstash.refusal import RefusedError
from prebooking_local.qstash.views import inspection_view


@dataclass(frozen=True)
class ControlRoutes:
    broker: Broker
    faults: Faults

    def routes(self) -> list[Route]:
        return [
            Route("/_control/faults", self.read_faults, methods=["GET"]),
            Route("/_control/faults", self.change_faults, methods=["POST"]),
            Route("/_control/faults", self.clear_faults, methods=["DELETE"]),
            Route("/_control/messages", self.messages, methods=["GET"]),
        ]

    async def read_faults(self, _: Request) -> JSONResponse:
        return self._answer()

    async def change_faults(self, request: Request) -> JSONResponse:
        try:
            self.faults.change(await json_body(request))
        except ValidationError as exc:
            raise RefusedError(400, str(exc)) from exc
        return self._answer()

    async def clear_faults(self, _: Request) -> JSONResponse:
        self.faults.clear()
        return self._answer()

    async def messages(self, _: Request) -> JSONResponse:
        pending = [inspection_view(message) for message in self.broker.pending.values()]
        finished = [inspection_view(message) for message in self.broker.finished]
        return JSONResponse({"pending": pending, "finished": finished})

    def _answer(self) -> JSONResponse:
        self.broker.heed_faults()
        return JSONResponse(self.faults.model_dump(exclude_none=True))
