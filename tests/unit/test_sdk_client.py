"""The HTTP client of the SDKs: what they read of a response is what was sent, and errors are httpx's."""

import asyncio
import gzip
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from prebooking.adapters import sdk_client
from prebooking.adapters.sdk_client import SdkClient, open_sdk_client

BODY = b'{"outcome": "claimed"}'
LOST = b""


@dataclass
class Host:
    """Answers each request with the next of `answers`; LOST closes the connection instead."""

    answers: list[bytes]
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while (request := await reader.read(65536)) and self.answers:
            self.requests.append(request)
            answer = self.answers.pop(0)
            if answer is LOST:
                break
            writer.write(answer)
        writer.close()


@asynccontextmanager
async def host(*answers: bytes) -> AsyncIterator[Host]:
    running = Host([*answers])
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield running
    finally:
        server.close()
        for writer in running.writers:
            writer.close()


def answer(body: bytes = BODY, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *headers, b"Content-Length: %d" % len(body), b"", body])


@pytest.fixture
async def client() -> AsyncIterator[SdkClient]:
    async with open_sdk_client() as opened:
        yield opened


async def test_a_packed_body_is_read_once(client: SdkClient) -> None:
    packed = answer(gzip.compress(BODY), b"Content-Encoding: gzip", b"Content-Range: 0-0/1")
    async with host(packed) as at:
        response = await client.request("GET", at.url)
    assert (response.content, response.headers["content-range"]) == (BODY, "0-0/1")


async def test_no_redirect_is_followed_and_no_cookie_kept(client: SdkClient) -> None:
    redirect = answer(b"", b"Location: /elsewhere", b"Set-Cookie: a=b", status=b"307 Temporary Redirect")
    async with host(redirect, redirect) as at:
        for _ in range(2):
            assert (await client.request("POST", at.url, content=b"{}")).status_code == 307
    assert not any(b"cookie" in request.lower() for request in at.requests)


async def test_the_request_is_sent_as_the_sdk_gave_it(client: SdkClient) -> None:
    async with host(answer()) as at:
        headers = httpx.Headers({"apikey": "k", "user-agent": "sdk"})
        params = {"a": "b c"}
        response = await client.request("POST", f"{at.url}/v2/x", params=params, headers=headers, content="{}")
    head, _, body = at.requests[0].partition(b"\r\n\r\n")
    line, *fields = head.lower().split(b"\r\n")
    assert (line, body) == (b"post /v2/x?a=b+c http/1.1", b"{}")
    own = {b"host: " + at.url.partition("//")[2].encode(), b"content-length: 2", b"accept: */*"}
    assert set(fields) == own | {b"apikey: k", b"user-agent: sdk", b"accept-encoding: gzip"}
    assert len(fields) == len(set(fields))
    assert response.request.headers["apikey"] == "k"


async def test_a_header_of_any_bytes_is_no_error(client: SdkClient) -> None:
    async with host(answer(BODY, b"Server: caf\xe9")) as at:
        assert (await client.request("POST", at.url)).json() == {"outcome": "claimed"}


async def test_a_connection_is_used_again_until_it_was_idle_for_long(
    client: SdkClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host(answer(), answer(), answer()) as at:
        for _ in range(2):
            await client.request("POST", at.url)
        assert len(at.writers) == 1
        now = asyncio.get_running_loop().time()
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now + sdk_client._KEEP_ALIVE_S + 1)
        await client.request("POST", at.url)
    assert len(at.writers) == 2


async def test_a_connection_that_is_not_used_again_is_left(client: SdkClient) -> None:
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(answer(BODY, b"Connection: close"))
        await reader.read()  # it says so, and does not do it
        left.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        await client.request("POST", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await asyncio.wait_for(left.wait(), 5)


async def test_a_large_body_is_read(client: SdkClient) -> None:
    body = b" " * 3_000_000
    async with host(answer(body)) as at:
        assert len((await client.request("GET", at.url)).content) == len(body)


async def test_a_lost_answer_is_an_error_of_the_transport_and_the_request_is_not_repeated(client: SdkClient) -> None:
    async with host(LOST, answer()) as at:
        with pytest.raises(httpx.TransportError) as lost:
            await client.request("POST", at.url, content=b"{}")
    assert not isinstance(lost.value, httpx.ConnectError)
    assert len(at.requests) == 1


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_what_may_be_asked_twice_is_once_more(client: SdkClient, method: str) -> None:
    async with host(answer(), LOST, answer(), LOST, LOST) as at:
        for _ in range(2):
            assert (await client.request(method, at.url)).content == BODY
        with pytest.raises(httpx.TransportError):
            await client.request(method, at.url)
    assert len(at.requests) == 5


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_what_was_lost_and_then_refused_may_have_been_done(client: SdkClient, method: str) -> None:
    async def lose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        server.close()
        writer.close()

    server = await asyncio.start_server(lose, "127.0.0.1", 0)
    with pytest.raises(httpx.TransportError) as lost:
        await client.request(method, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert not isinstance(lost.value, httpx.ConnectError)


async def test_a_refused_connection_is_a_connect_error(unused_tcp_port: int, client: SdkClient) -> None:
    with pytest.raises(httpx.ConnectError):
        await client.request("DELETE", f"http://127.0.0.1:{unused_tcp_port}/")


async def test_a_name_that_hangs_leaves_threads_for_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    hanging: list[str] = []
    look_up = socket.getaddrinfo

    def slow(name: str, *options: Any, **more: Any) -> Any:
        if name == "hangs.test":
            hanging.append(name)
            ended.wait(10)
        return look_up("127.0.0.1", *options, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    async with host(answer(), answer()) as at, open_sdk_client() as one, open_sdk_client() as other:
        port = at.url.rpartition(":")[2]
        asking = [asyncio.create_task(one.request("POST", f"http://hangs.test:{port}")) for _ in range(50)]
        await asyncio.sleep(0.05)
        try:
            response = await asyncio.wait_for(other.request("POST", f"http://works.test:{port}"), 5)
        finally:
            for task in asking[1:]:
                task.cancel()
            ended.set()
        assert (response.content, len(hanging)) == (BODY, 1)
        assert (await asyncio.wait_for(asking[0], 5)).content == BODY


async def test_who_is_cancelled_leaves_no_half_read_answer_to_the_next(client: SdkClient) -> None:
    async with host(answer()[:-5], answer(b"[]")) as at:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.request("POST", at.url), 0.05)
        assert (await client.request("POST", at.url)).content == b"[]"
    assert len(at.writers) == 2


async def test_no_more_connections_than_allowed_are_open() -> None:
    async with host(*[answer()] * 20) as at, open_sdk_client(connections=3) as client:
        await asyncio.gather(*(client.request("POST", at.url) for _ in range(20)))
    assert len(at.writers) <= 3


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_a_way_that_no_sdk_takes_is_not_taken_unnoticed(client: SdkClient, method: str) -> None:
    asking = client.request("HEAD", "http://x") if method == "HEAD" else client.send(httpx.Request("GET", "http://x"))
    with pytest.raises(NotImplementedError):
        await asking


async def test_nothing_is_sent_once_it_is_closed(client: SdkClient) -> None:
    async with host(answer(), answer()) as at:
        await client.request("POST", at.url)
        await client.aclose()
        with pytest.raises(RuntimeError):
            await client.request("POST", at.url)
    assert len(at.requests) == 1


async def test_each_response_is_told_to_the_task_that_asked() -> None:
    told: list[tuple[asyncio.Task[object] | None, int]] = []

    async with (
        host(answer()) as at,
        open_sdk_client(on_response=lambda r: told.append((asyncio.current_task(), r.status_code))) as client,
    ):
        asking = asyncio.create_task(client.request("GET", at.url))
        await asking
    assert told == [(asking, 200)]
