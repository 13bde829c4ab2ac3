"""Schedules over HTTP."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from prebooking_local.qstash.message_routes import published_order
from prebooking_local.qstash.schedules import Schedules


@dataclass(frozen=True)
class ScheduleRoutes:
    schedules: Schedules

    def routes(self) -> list[Route]:
        both = ["PATCH", "POST"]  # the SDKs send the one, the documentation says the other
        return [
            Route("/v2/schedules", self.get_all, methods=["GET"]),
            Route("/v2/schedules/{id}", self.get, methods=["GET"]),
            Route("/v2/schedules/{id}", self.delete, methods=["DELETE"]),
            Route("/v2/schedules/{id}/pause", self.pause, methods=both),
            Route("/v2/schedules/{id}/resume", self.resume, methods=both),
            Route("/v2/schedules/{destination:path}", self.put, methods=["POST"]),
        ]

    async def put(self, request: Request) -> JSONResponse:
        order = await published_order(request, prefix="/v2/schedules/")
        return JSONResponse({"scheduleId": self.schedules.put(order).id})

    async def get_all(self, _: Request) -> JSONResponse:
        return JSONResponse([self.schedules.view(schedule) for schedule in self.schedules.all()])

    async def get(self, request: Request) -> JSONResponse:
        return JSONResponse(self.schedules.view(self.schedules.get(request.path_params["id"])))

    async def delete(self, request: Request) -> JSONResponse:
        self.schedules.delete(request.path_params["id"])
        return JSONResponse({})

    async def pause(self, request: Request) -> JSONResponse:
        return self._set_paused(request, paused=True)

    async def resume(self, request: Request) -> JSONResponse:
        return self._set_paused(request, paused=False)

    def _set_paused(self, request: Request, *, paused: bool) -> JSONResponse:
        self.schedules.get(request.path_params["id"]).paused = paused
        return JSONResponse({})
