"""The HTTP client of one execution, against servers that say whatever bytes a test wants."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field

import httpx
import pytest

from prebooking.adapters.aimharder.c_ares import Found
from prebooking.adapters.aimharder.resolver import PinnedResolver, Resolver
from prebooking.adapters.http11.client import HttpClient, Origin, split_url
from prebooking.adapters.http11.connection import ignore

TLS = ssl.create_default_context()
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Host:
    url: str
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def host(*answers: bytes, closes: bool = False, at_once: int = 11) -> AsyncIterator[Host]:
    """Says the next answer to each request of a connection, in pieces of so many bytes; then closes it, or waits."""
    running = Host("")

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.connections += 1
        for answer in answers:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            running.requests.append(head)
            for start in range(0, len(answer), at_once):
                writer.write(answer[start : start + at_once])
                with suppress(ConnectionError):
                    await writer.drain()
        if not closes:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(served, "127.0.0.1", 0) as server:
        running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield running


def client(proxy: str | None = None) -> HttpClient:
    return HttpClient(TLS, proxy, PinnedResolver(Resolver()))


async def asked(at: Host) -> tuple[int, bytes]:
    with closing(client()) as http:
        response = await asyncio.wait_for(http.ask("GET", at.url, []), 5)
        return response.status, bytes(response.body)


@pytest.mark.parametrize(
    "answer",
    [
        EMPTY,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nT: x\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + EMPTY,
        b"HTTP/1.1 200\r\ncontent-length:2\r\n\r\n{}",
    ],
    ids=["length", "chunks", "after interim answers", "without a reason"],
)
async def test_an_answer_is_read_to_its_end(answer: bytes) -> None:
    async with host(answer) as at:
        assert await asked(at) == (200, b"{}")


async def test_what_follows_a_body_is_no_header() -> None:
    trailer = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Encoding: gzip\r\n\r\n"
    async with host(b"HTTP/1.1 200 OK\r\n" + trailer) as at:
        with closing(client()) as http:
            assert (await http.ask("GET", at.url, [])).headers == [("transfer-encoding", "chunked")]


@pytest.mark.parametrize("body", [b"{}", b""])
async def test_an_answer_of_no_length_is_read_to_the_end_of_its_connection(body: bytes) -> None:
    async with host(b"HTTP/1.0 200 OK\r\n\r\n" + body, closes=True) as at:
        assert await asked(at) == (200, body)


async def test_head_and_body_may_come_at_once() -> None:
    body = b" " * 200_000
    async with host(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + body, at_once=2**20) as at:
        assert await asked(at) == (200, body)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX-Y: " + b"z" * 200_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + b" " * 1_200_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 1_200_000,
    ],
    ids=["head", "interim answers", "body", "chunk size"],
)
async def test_an_answer_that_is_too_large_is_not_waited_for(answer: bytes) -> None:
    async with host(answer, at_once=8192) as at:
        with pytest.raises(httpx.RemoteProtocolError):
            await asked(at)


async def test_a_connection_that_is_closed_as_soon_as_it_is_open_has_sent_nothing() -> None:
    async def gone(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with await asyncio.start_server(gone, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with closing(client()) as http:
            connection = await http.connect(url)
            await asyncio.wait_for(asyncio.shield(connection.ended), 5)
            connection.expect(ignore)
            connection.send(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(httpx.WriteError):
                await asyncio.wait_for(connection.answer(), 5)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX-Y: ",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nPRI",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["none", "length", "chunks", "unknown coding", "head", "interim alone", "upgrade", "both framings"],
)
async def test_an_answer_that_ends_too_soon_is_none(answer: bytes) -> None:
    async with host(answer, closes=True) as at:
        with pytest.raises(httpx.RemoteProtocolError):
            await asked(at)


async def test_the_head_is_told_though_the_body_breaks_off() -> None:
    told: list[str] = []
    async with host(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n{", closes=True
    ) as at:
        with closing(client()) as http, pytest.raises(httpx.RemoteProtocolError):
            await http.ask("GET", at.url, [], on_head=lambda head: told.extend(head.all("set-cookie")))
    assert told == ["a=b", "c=d"]


async def test_a_connection_is_used_again_once_it_was_answered_and_by_one_at_a_time() -> None:
    async with host(EMPTY, EMPTY, EMPTY) as at:
        with closing(client()) as http:
            for _ in range(2):
                await http.ask("GET", at.url, [])
            assert at.connections == 1
            await asyncio.gather(http.ask("GET", at.url, []), http.ask("GET", at.url, []))
            assert at.connections == 2


@pytest.mark.parametrize(
    "stray",
    [b"HTTP/1.1 408 Request Timeout\r\nSet-Cookie: a=b\r\nContent-Length: 4\r\n\r\nlate", b"HTTP/1.1 408 ", b"late"],
)
async def test_what_follows_an_answer_in_the_same_piece_changes_nothing_of_it(stray: bytes) -> None:
    told: list[str] = []
    async with host(EMPTY + stray, at_once=2**20) as at:
        with closing(client()) as http:
            response = await http.ask("GET", at.url, [], on_head=lambda head: told.extend(head.all("set-cookie")))
            assert (response.status, bytes(response.body), response.all("set-cookie"), told) == (200, b"{}", [], [])


async def test_a_connection_is_not_used_again_before_its_answer_was_read() -> None:
    async with host(EMPTY.replace(b"{}", b"[]"), EMPTY) as at:
        with closing(client()) as http:
            first = await http.connect(at.url)
            first.expect(ignore)
            first.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0.05)  # the answer has come, and nobody has asked for it
            await http.ask("GET", at.url, [])
            assert at.connections == 2
            assert (await first.answer()).body == b"[]"


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", EMPTY + EMPTY, EMPTY + b"stray"],
    ids=["as it says", "after a second answer", "after stray bytes"],
)
async def test_a_connection_that_may_be_at_its_end_is_not_used_again(answer: bytes) -> None:
    async with host(answer, EMPTY) as at:
        with closing(client()) as http:
            await http.ask("GET", at.url, [])
            await asyncio.sleep(0.05)  # until all of it has come
            assert (await http.ask("GET", at.url, [])).status == 200
        assert at.connections == 2


async def test_an_answer_that_this_side_breaks_off_is_none() -> None:
    async with host(b"HTTP/1.1 200 OK\r\n\r\n{") as at:
        http, has_head = client(), asyncio.Event()
        asking = asyncio.create_task(http.ask("GET", at.url, [], on_head=lambda _: has_head.set()))
        await asyncio.wait_for(has_head.wait(), 5)
        http.close()
        with pytest.raises(httpx.ReadError):
            await asyncio.wait_for(asking, 5)


async def test_nothing_is_sent_by_a_client_that_was_closed_while_it_connected() -> None:
    asked, found = asyncio.Event(), asyncio.Event()

    class Slow:
        async def addresses(self, _: str) -> tuple[str, ...]:
            asked.set()
            await found.wait()
            return ("127.0.0.1",)

    async with host(EMPTY) as at:
        http = HttpClient(TLS, None, Slow())
        asking = asyncio.create_task(http.ask("POST", at.url, []))
        await asked.wait()
        http.close()
        found.set()
        with pytest.raises(httpx.ConnectError):
            await asyncio.wait_for(asking, 5)
        assert at.requests == []


async def test_who_leaves_ends_the_connection_and_the_next_gets_no_answer_of_theirs() -> None:
    async with host(b"", EMPTY) as at:
        with closing(client()) as http:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(http.ask("GET", at.url, []), 0.1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(http.ask("GET", at.url, []), 0.1)
        assert at.connections == 2


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "José", "\u2028"])
async def test_a_header_that_would_be_more_than_one_line_of_ascii_is_not_sent(value: str) -> None:
    async with host(EMPTY) as at:
        with closing(client()) as http, pytest.raises(httpx.LocalProtocolError):
            await http.ask("GET", at.url, [("Cookie", value)])
        assert at.connections == 0


async def test_a_request_names_its_host_its_length_and_its_query() -> None:
    async with host(EMPTY, EMPTY) as at:
        with closing(client()) as http:
            await http.ask("GET", f"{at.url}/a", [("X-Y", "z")], query="b=c+d")
            await http.ask("POST", f"{at.url}/a", [])
        authority = at.url.removeprefix("http://").encode()
        assert at.requests == [
            b"GET /a?b=c+d HTTP/1.1\r\nHost: %s\r\nX-Y: z\r\n\r\n" % authority,
            b"POST /a HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n" % authority,
        ]


@pytest.mark.parametrize(
    ("url", "origin", "path", "authority"),
    [
        ("https://mygym.aimharder.com", Origin("https", "mygym.aimharder.com", 443), "/", "mygym.aimharder.com"),
        (
            "http://127.0.0.1:8004/mygym/api/book",
            Origin("http", "127.0.0.1", 8004),
            "/mygym/api/book",
            "127.0.0.1:8004",
        ),
        ("http://[::1]:8004/x", Origin("http", "::1", 8004), "/x", "[::1]:8004"),
        ("https://[::1]/", Origin("https", "::1", 443), "/", "[::1]"),
    ],
)
def test_a_url_is_an_origin_and_a_path(url: str, origin: Origin, path: str, authority: str) -> None:
    assert split_url(url) == (origin, path)
    assert origin.authority == authority


async def test_a_connection_that_takes_too_long_is_told_from_an_answer_that_does() -> None:
    async def nowhere(_: str) -> Found:
        await asyncio.Event().wait()
        raise AssertionError

    with closing(HttpClient(TLS, None, PinnedResolver(Resolver(nowhere)))) as http, pytest.raises(httpx.ConnectTimeout):
        await http.ask("GET", "https://gym.test", [], connect_s=0.05)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "407 Proxy Authentication"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0"),
        (b"", "closed the connection"),
    ],
)
async def test_a_proxy_that_does_not_let_through_is_told(answer: bytes, said: str) -> None:
    async with host(answer, closes=True) as at:
        with closing(client(at.url)) as http, pytest.raises(httpx.ProxyError, match=said):
            await asyncio.wait_for(http.ask("GET", "https://gym.test/", []), 5)


async def test_a_proxy_that_lets_through_and_hangs_up_has_sent_nothing() -> None:
    async with host(b"HTTP/1.1 200 Connection established\r\n\r\n", closes=True) as at:
        with closing(client(at.url)) as http, pytest.raises((httpx.ConnectError, httpx.ProxyError)):
            await asyncio.wait_for(http.ask("GET", "https://gym.test/", []), 5)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_is_told_user_and_password_and_the_gym_is_not(scheme: str) -> None:
    async with host(EMPTY, closes=True) as at:
        proxy = at.url.replace("http://", "http://me:p%40ss@")
        with closing(client(proxy)) as http, suppress(httpx.HTTPError):  # no TLS behind this proxy
            await asyncio.wait_for(http.ask("GET", f"{scheme}://gym.test/x", []), 5)
        (request,) = at.requests
        first = b"CONNECT gym.test:443 HTTP/1.1" if scheme == "https" else b"GET http://gym.test/x HTTP/1.1"
        assert request.startswith(first + b"\r\n")
        assert b"\r\nProxy-Authorization: Basic %s\r\n" % b64encode(b"me:p@ss") in request
