"""Publishing, reading and cancelling messages; the log; the keys."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from prebooking_local.qstash.broker import Broker
from prebooking_local.qstash.destination import checked, destination_of
from prebooking_local.qstash.order import Order, read_order
from prebooking_local.qstash.query import page, selected
from prebooking_local.qstash.refusal import RefusedError
from prebooking_local.qstash.signing import KeyRing
from prebooking_local.qstash.views import message_view


@dataclass(frozen=True)
class MessageRoutes:
    broker: Broker
    keys: KeyRing

    def routes(self) -> list[Route]:
        return [
            Route("/v2/publish/{destination:path}", self.publish, methods=["POST"]),
            Route("/v2/batch", self.batch, methods=["POST"]),
            Route("/v2/messages", self.cancel_many, methods=["DELETE"]),
            Route("/v2/messages/", self.cancel_many, methods=["DELETE"]),
            Route("/v2/messages/{id}", self.get, methods=["GET"]),
            Route("/v2/messages/{id}", self.cancel, methods=["DELETE"]),
            Route("/v2/events", self.events, methods=["GET"]),
            Route("/v2/logs", self.logs, methods=["GET"]),
            Route("/v2/keys", self.get_keys, methods=["GET"]),
            Route("/v2/keys/rotate", self.rotate_keys, methods=["POST"]),
        ]

    async def publish(self, request: Request) -> JSONResponse:
        accepted = self.broker.accept(await published_order(request, prefix="/v2/publish/"))
        return JSONResponse(accepted, status_code=202 if "deduplicated" in accepted else 200)

    async def batch(self, request: Request) -> JSONResponse:
        """Publishes several messages: all are valid, or none is accepted."""
        entries = await json_body(request)
        if not isinstance(entries, list):
            raise RefusedError(400, "a batch is a JSON array")
        orders = [_batched_order(entry, caller_ip(request)) for entry in entries]
        for order in orders:
            self.broker.check(order)
        return JSONResponse([self.broker.accept(order) for order in orders])

    async def get(self, request: Request) -> JSONResponse:
        return JSONResponse(message_view(self.broker.get(request.path_params["id"])))

    async def cancel(self, request: Request) -> JSONResponse:
        self.broker.cancel(self.broker.get(request.path_params["id"]))
        return JSONResponse({"cancelled": 1})

    async def cancel_many(self, request: Request) -> JSONResponse:
        """Cancels the messages whose ids are given, in the body or the query; else those the filters name, or all."""
        ids = await ids_in(request, "messageIds")
        query = request.query_params
        views = [message_view(message) for message in self.broker.pending.values()]
        chosen = [view for view in views if view["messageId"] in ids] if ids else selected(views, query)
        for view in chosen:
            self.broker.cancel(self.broker.get(view["messageId"]))
        return JSONResponse({"cancelled": len(chosen)})

    async def events(self, request: Request) -> JSONResponse:
        return self._log(request, "events")

    async def logs(self, request: Request) -> JSONResponse:
        return self._log(request, "logs")

    def _log(self, request: Request, name: str) -> JSONResponse:
        query = request.query_params
        entries, cursor = page(selected(self.broker.journal.newest_first(), query), query, most=1000)
        return JSONResponse({name: entries} | cursor)

    async def get_keys(self, _: Request) -> JSONResponse:
        return JSONResponse(asdict(self.keys))

    async def rotate_keys(self, _: Request) -> JSONResponse:
        self.keys.rotate()
        return JSONResponse(asdict(self.keys))


async def published_order(request: Request, *, prefix: str) -> Order:
    raw_path = request.scope["raw_path"].decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    url, settings = destination_of(raw_path, query, prefix=prefix)
    headers = list(request.headers.items())
    headers += [(name, value) for name, value in settings.items() if name not in request.headers]
    return read_order(url, headers, await request.body(), caller_ip(request))


def _batched_order(entry: Any, ip: str) -> Order:
    try:
        if entry.get("queue") is not None:
            raise RefusedError(501, "queues are not supported by this server")
        headers = [(str(name), str(value)) for name, value in (entry.get("headers") or {}).items()]
        return read_order(checked(entry["destination"]), headers, (entry.get("body") or "").encode(), ip)
    except (AttributeError, KeyError, TypeError) as exc:
        raise RefusedError(400, f"invalid batch entry: {exc!r}") from exc


async def json_body(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError as exc:
        raise RefusedError(400, f"invalid JSON: {exc}") from exc


async def ids_in(request: Request, name: str) -> set[str]:
    """Returns the ids. Python's SDK sends them in a JSON body, JavaScript's repeats a query parameter."""
    in_query = {value for text in request.query_params.getlist(name) for value in text.split(",")}
    in_body = (await json_body(request)).get(name) or [] if await request.body() else []
    return in_query | set(in_body)


def caller_ip(request: Request) -> str:
    return request.client.host if request.client else ""
