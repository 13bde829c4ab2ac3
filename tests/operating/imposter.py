"""A server where one of the systems is looked for: it answers what it is told to, and passes the rest on."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from prebooking_local.serving import serve_asgi

_NOT_PASSED_ON = ("host", "content-length", "transfer-encoding", "connection", "content-encoding", "date", "server")


@dataclass(frozen=True)
class Answer:
    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def page(status: int, words: str = "", **headers: str) -> Answer:
    """HTML; names of headers with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, f"<html><body>{words}</body></html>", {"content-type": "text/html", **named})


def said(status: int, content: Any, **headers: str) -> Answer:
    """JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(content), {"content-type": "application/json", **named})


@dataclass
class Imposter:
    url: str
    answers: Mapping[str, Answer] = field(default_factory=dict)  #: by the path's beginning
    target: str | None = None  #: who answers the rest; None: nobody, so it is 404
    bypass: str | None = None  #: a header that leads to the target past all answers

    async def answer(self, request: Request, http: httpx.AsyncClient) -> Response:
        path = request.url.path
        for beginning, answer in self.answers.items():
            if path.startswith(beginning) and (self.bypass or "") not in request.headers:
                return Response(answer.body, answer.status, dict(answer.headers))
        if self.target is None:
            return Response("not here", 404)
        headers = {name: value for name, value in request.headers.items() if name not in _NOT_PASSED_ON}
        url = httpx.URL(f"{self.target}{path}", query=request.url.query.encode())
        theirs = await http.request(request.method, url, content=await request.body(), headers=headers)
        kept = {name: value for name, value in theirs.headers.items() if name not in _NOT_PASSED_ON}
        return Response(theirs.content, theirs.status_code, kept)


@asynccontextmanager
async def imposter() -> AsyncIterator[Imposter]:
    one = Imposter("")
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            request = Request(scope, receive)
            await request.body()
            await (await one.answer(request, http))(scope, receive, send)

        app = Starlette()
        app.mount("/", answer)
        async with serve_asgi(app, host="127.0.0.1", port=0) as one.url:
            yield one
