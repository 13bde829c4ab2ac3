"""The HTTP client of the SDKs: what they read of a response is what was sent, and errors are httpx's."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from prebooking.adapters.sdk_client import SdkClient, open_sdk_client

BODY = b'{"outcome": "claimed"}'


async def packed(_: web.Request) -> web.Response:
    return web.Response(body=gzip.compress(BODY), headers={"Content-Encoding": "gzip", "Content-Range": "0-0/1"})


async def redirected(request: web.Request) -> web.Response:
    return web.Response(
        status=307, headers={"Location": "/packed", "Set-Cookie": "a=b", "X-Cookie": str(request.cookies)}
    )


async def lost(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    await asyncio.Event().wait()
    raise AssertionError


async def echoed(request: web.Request) -> web.Response:
    asked = {"query": request.query_string, "key": request.headers.getall("apikey"), "body": await request.text()}
    return web.json_response(asked)


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_route("*", "/packed", packed)
    app.router.add_route("*", "/redirected", redirected)
    app.router.add_route("*", "/lost", lost)
    app.router.add_route("*", "/echoed", echoed)
    running = TestServer(app)
    async with running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[SdkClient]:
    async with open_sdk_client() as opened:
        yield opened


async def test_a_packed_body_is_read_once(server: TestServer, client: SdkClient) -> None:
    response = await client.request("GET", str(server.make_url("/packed")))
    assert (response.content, response.headers["content-range"]) == (BODY, "0-0/1")


async def test_no_redirect_is_followed_and_no_cookie_kept(server: TestServer, client: SdkClient) -> None:
    for _ in range(2):
        response = await client.request("POST", str(server.make_url("/redirected")), content=b"{}")
        assert (response.status_code, response.headers["x-cookie"]) == (307, "{}")


async def test_the_request_is_sent_as_the_sdk_gave_it(server: TestServer, client: SdkClient) -> None:
    url, headers = str(server.make_url("/echoed")), httpx.Headers({"apikey": "k"})
    response = await client.request("POST", url, params={"a": "b c"}, headers=headers, content="{}", auth=None)
    assert response.json() == {"query": "a=b c", "key": ["k"], "body": "{}"}
    assert response.request.headers["apikey"] == "k"


async def test_a_lost_answer_is_a_read_error(server: TestServer, client: SdkClient) -> None:
    with pytest.raises(httpx.ReadError):
        await client.request("POST", str(server.make_url("/lost")), content=b"{}")


async def test_a_refused_connection_is_a_connect_error(unused_tcp_port: int, client: SdkClient) -> None:
    with pytest.raises(httpx.ConnectError):
        await client.request("POST", f"http://127.0.0.1:{unused_tcp_port}/", content=b"{}")


async def test_a_way_that_no_sdk_takes_is_not_taken_unnoticed(server: TestServer, client: SdkClient) -> None:
    with pytest.raises(NotImplementedError):
        await client.send(client.build_request("GET", str(server.make_url("/packed"))))


async def test_each_response_is_told_to_the_task_that_asked(server: TestServer) -> None:
    told: list[tuple[asyncio.Task[object] | None, int]] = []
    async with open_sdk_client(on_response=lambda r: told.append((asyncio.current_task(), r.status_code))) as client:
        asking = asyncio.create_task(client.request("GET", str(server.make_url("/packed"))))
        await asking
    assert told == [(asking, 200)]
