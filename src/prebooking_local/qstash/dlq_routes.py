"""The dead letters: read, deleted, tried again."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from prebooking_local.qstash.broker import Broker
from prebooking_local.qstash.message_routes import caller_ip, ids_in
from prebooking_local.qstash.order import read_order
from prebooking_local.qstash.query import page, selected

_TIMING = ("upstash-not-before", "upstash-delay", "upstash-deduplication-id")


@dataclass(frozen=True)
class DlqRoutes:
    broker: Broker

    def routes(self) -> list[Route]:
        return [
            Route("/v2/dlq", self.get_all, methods=["GET"]),
            Route("/v2/dlq", self.delete_many, methods=["DELETE"]),
            Route("/v2/dlq/retry", self.retry_many, methods=["POST"]),
            Route("/v2/dlq/retry/{id}", self.retry, methods=["POST"]),
            Route("/v2/dlq/{id}", self.get, methods=["GET"]),
            Route("/v2/dlq/{id}", self.delete, methods=["DELETE"]),
        ]

    async def get_all(self, request: Request) -> JSONResponse:
        query = request.query_params
        letters = [letter.view() for letter in self.broker.dead_letters.newest_first()]
        entries, cursor = page(selected(letters, query), query, most=100)
        return JSONResponse({"messages": entries} | cursor)

    async def get(self, request: Request) -> JSONResponse:
        return JSONResponse(self.broker.dead_letters.get(request.path_params["id"]).view())

    async def delete(self, request: Request) -> JSONResponse:
        self.broker.dead_letters.remove(request.path_params["id"])
        return JSONResponse({"deleted": 1})

    async def delete_many(self, request: Request) -> JSONResponse:
        ids = await self._chosen(request)
        for letter_id in ids:
            self.broker.dead_letters.remove(letter_id)
        return JSONResponse({"deleted": len(ids)})

    async def retry(self, request: Request) -> JSONResponse:
        return JSONResponse(self._publish_again(request.path_params["id"], request), status_code=201)

    async def retry_many(self, request: Request) -> JSONResponse:
        ids = await self._chosen(request)
        return JSONResponse({"responses": [self._publish_again(one, request) for one in ids], "cursor": ""})

    async def _chosen(self, request: Request) -> list[str]:
        ids = await ids_in(request, "dlqIds")
        letters = [letter.view() for letter in self.broker.dead_letters.newest_first()]
        chosen = [one for one in letters if one["dlqId"] in ids] if ids else selected(letters, request.query_params)
        return [one["dlqId"] for one in chosen]

    def _publish_again(self, letter_id: str, request: Request) -> dict[str, str]:
        """Publishes a new message at once. The request's headers override the old one's."""
        order = self.broker.dead_letters.get(letter_id).message.order
        overriding = {name: value for name, value in request.headers.items() if name.startswith("upstash-")}
        headers = {name: value for name, value in order.headers if name not in _TIMING} | overriding
        accepted = self.broker.accept(read_order(order.url, headers.items(), order.body, caller_ip(request)))
        self.broker.dead_letters.remove(letter_id)
        return {"messageId": accepted["messageId"]}
