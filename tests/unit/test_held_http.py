"""A held request, on real sockets: nothing of it leaves before the word, then all of it at once."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from tests.support.raw_servers import Receiver, receiver, server_side, tunnels

from prebooking.adapters.aimharder.held_http import Hold
from prebooking.adapters.aimharder.resolver import PinnedResolver, Resolver
from prebooking.adapters.http11.client import HttpClient
from prebooking.adapters.http11.connection import Response

FORM = {"id": "501", "day": "20260301", "insist": "0", "familyId": ""}
PLAIN = ssl.create_default_context()


@dataclass
class Guest:
    """A client of one gym, as an execution has it."""

    client: HttpClient
    url: str
    now: Callable[[], float]

    def request(self, **more: str) -> Hold:
        return Hold(self.client, f"{self.url}/api/book", [], urlencode(FORM | more).encode(), self.now)

    async def hold(self, **more: str) -> Hold:
        """A request that only lacks the word."""
        hold = self.request(**more)
        await asyncio.wait_for(hold.ready(), 5)
        return hold

    async def ask(self) -> None:
        """A question beside it, answered: time enough for any byte that has left to arrive."""
        assert (await self.client.ask("GET", f"{self.url}/api/bookings", [])).status == 200


async def answer_to(hold: Hold) -> Response:
    return await asyncio.wait_for(hold.answer(), 5)


@asynccontextmanager
async def guest(
    url: str, context: ssl.SSLContext = PLAIN, proxy: str | None = None, now: Callable[[], float] = lambda: 1.0
) -> AsyncIterator[Guest]:
    with closing(HttpClient(context, proxy, PinnedResolver(Resolver()))) as client:
        yield Guest(client, url, now)


def bookings(gym: Receiver) -> list[bytes]:
    return [data for data in gym.arrived if data.startswith(b"POST ")]


async def leaves_whole_and_only_at_the_word(visitor: Guest, gym: Receiver) -> None:
    hold = await visitor.hold()
    hold.warm()
    await visitor.ask()
    assert not bookings(gym)
    assert hold.fired_at is None

    hold.fire()
    assert (await answer_to(hold)).body == b"{}"
    (booking,) = bookings(gym)
    head, _, body = booking.partition(b"\r\n\r\n")
    assert head.startswith(b"POST ")
    assert body == b"id=501&day=20260301&insist=0&familyId="
    assert hold.fired_at == 1.0


async def test_no_byte_leaves_before_the_word_and_then_all_in_one_piece() -> None:
    async with receiver() as gym, guest(f"http://127.0.0.1:{gym.port}") as visitor:
        await leaves_whole_and_only_at_the_word(visitor, gym)


@pytest.mark.parametrize("class_id", ["7", "501", "106015104", "a b&c"])
async def test_a_request_that_is_held_can_be_aimed_at_another_class(class_id: str) -> None:
    async with receiver() as gym, guest(f"http://127.0.0.1:{gym.port}") as visitor:
        hold = await visitor.hold()
        body = urlencode(FORM | {"id": class_id}).encode()
        hold.replace(body)
        await visitor.ask()
        assert not bookings(gym)

        hold.fire()
        assert (await answer_to(hold)).body == b"{}"
        (booking,) = bookings(gym)
        head, _, sent = booking.partition(b"\r\n\r\n")
        assert sent == body
        assert head.lower().count(b"content-length: %d" % len(body)) == 1


async def test_so_it_is_over_tls_whose_handshake_is_done_before(certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=certificate)
    async with (
        receiver(server_side(certificate)) as gym,
        guest(f"https://127.0.0.1:{gym.port}", trusting) as visitor,
    ):
        await leaves_whole_and_only_at_the_word(visitor, gym)


async def test_so_it_is_through_a_proxy_whose_tunnel_is_open_before(certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=certificate)
    async with (
        receiver(server_side(certificate)) as gym,
        tunnels(gym.port, as_proxy=True) as proxy,
        guest(f"https://127.0.0.1:{gym.port}", trusting, f"http://127.0.0.1:{proxy.port}") as visitor,
    ):
        await leaves_whole_and_only_at_the_word(visitor, gym)
        assert proxy.connects[0] == f"CONNECT 127.0.0.1:{gym.port} HTTP/1.1".encode()


async def test_so_it_is_through_a_proxy_that_forwards_plain_http() -> None:
    async with receiver() as proxy, guest("http://gym.test", proxy=f"http://127.0.0.1:{proxy.port}") as visitor:
        await leaves_whole_and_only_at_the_word(visitor, proxy)
        assert bookings(proxy)[0].startswith(b"POST http://gym.test/api/book HTTP/1.1\r\n")


async def test_it_waits_on_the_connection_that_a_question_has_opened() -> None:
    async with receiver() as gym, guest(f"http://127.0.0.1:{gym.port}") as visitor:
        await visitor.ask()
        hold = await visitor.hold()
        hold.fire()
        await answer_to(hold)
        assert len(gym.connections) == 1


async def test_several_leave_one_after_another_in_the_order_of_their_words() -> None:
    ticks = count(1)
    async with receiver() as gym, guest(f"http://127.0.0.1:{gym.port}", now=lambda: next(ticks)) as visitor:
        sendings = [await visitor.hold(id=str(n)) for n in range(5)]
        order = (3, 0, 4, 1, 2)
        for n in order:
            sendings[n].fire()
        await asyncio.gather(*(answer_to(one) for one in sendings))
        assert [sendings[n].fired_at for n in order] == [1, 2, 3, 4, 5]
        assert [data.partition(b"\r\n\r\n")[2][:4] for data in bookings(gym)] == [b"id=%d" % n for n in order]


async def test_on_a_connection_that_was_closed_meanwhile_it_never_leaves_and_says_so() -> None:
    async with receiver() as gym, guest(f"http://127.0.0.1:{gym.port}") as visitor:
        hold = await visitor.hold()
        gym.close_connections()
        await visitor.ask()  # on another connection; the end of the first has arrived with it
        hold.fire()
        with pytest.raises(httpx.WriteError):
            await answer_to(hold)
        assert hold.fired_at is None
        assert not bookings(gym)


@pytest.mark.parametrize("last_words", [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
async def test_the_end_of_its_connection_is_noticed_while_it_is_held(last_words: bytes) -> None:
    async with receiver() as gym, guest(f"http://127.0.0.1:{gym.port}") as visitor:
        hold = await visitor.hold()
        await asyncio.sleep(0.05)
        gym.connections[0].transport.write(last_words)
        gym.close_connections()
        assert await asyncio.wait_for(hold.lost(), 5) >= 0.05
        hold.fire()
        assert hold.fired_at is None


async def test_the_end_of_its_connection_is_noticed_over_tls_too(certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=certificate)
    async with receiver(server_side(certificate)) as gym, guest(f"https://127.0.0.1:{gym.port}", trusting) as visitor:
        hold = await visitor.hold()
        gym.close_connections()
        await asyncio.wait_for(hold.lost(), 5)
        hold.fire()
        assert hold.fired_at is None


async def test_the_kernel_asks_now_and_then_whether_the_other_side_is_there() -> None:
    async with receiver() as gym, guest(f"http://127.0.0.1:{gym.port}") as visitor:
        hold = await visitor.hold()
        assert hold._connection is not None
        assert hold._connection._transport is not None
        sock = hold._connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 18_000
        hold.fire()
        await answer_to(hold)


async def test_on_a_connection_that_was_answered_unasked_and_closed_it_never_leaves() -> None:
    """A server that tires of waiting says 408 before it closes: that is no answer to the request."""
    async with receiver() as gym, guest(f"http://127.0.0.1:{gym.port}") as visitor:
        hold = await visitor.hold()
        for connection in gym.connections:
            connection.transport.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        gym.close_connections()
        await visitor.ask()
        hold.fire()
        with pytest.raises(httpx.WriteError):
            await answer_to(hold)
        assert not bookings(gym)


async def test_one_given_up_while_it_is_held_never_leaves() -> None:
    async with receiver() as gym, guest(f"http://127.0.0.1:{gym.port}") as visitor:
        hold = await visitor.hold()
        hold.close()
        hold.fire()
        await visitor.ask()
        assert hold.fired_at is None
        assert not bookings(gym)


async def test_a_second_word_sends_nothing_more() -> None:
    async with receiver() as gym, guest(f"http://127.0.0.1:{gym.port}") as visitor:
        hold = await visitor.hold()
        hold.fire()
        hold.fire()
        await answer_to(hold)
        await visitor.ask()
        assert len(bookings(gym)) == 1


async def test_without_a_server_the_request_fails_and_never_left() -> None:
    async with receiver() as gym:
        port = gym.port
    async with guest(f"http://127.0.0.1:{port}") as visitor:
        hold = visitor.request()
        with pytest.raises(httpx.ConnectError):
            await hold.ready()
        hold.fire()
        assert hold.fired_at is None


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    async with (
        receiver(server_side(certificate)) as gym,
        guest(f"https://127.0.0.1:{gym.port}") as visitor,
    ):
        with pytest.raises(httpx.ConnectError):
            await visitor.ask()
        assert not gym.arrived
