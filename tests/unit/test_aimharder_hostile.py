"""A gym that means harm: it redirects, it never ends, it unpacks to gigabytes; we ask nobody else and stay small."""

import asyncio
import gzip
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

import pytest
from tests.support.raw_servers import receiver

from prebooking.adapters.aimharder import session_client
from prebooking.adapters.aimharder.client import AimHarder
from prebooking.adapters.aimharder.gym import AimHarderGym
from prebooking.domain.cookies import Cookie
from prebooking.domain.errors import BoxSilentError
from prebooking.domain.outcome import ReplyKind
from prebooking.domain.prebooking import BookingRequest, Box, Session

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]
REQUEST = BookingRequest(day="20261126", class_id="501", family_id="", insist=0)
SESSION = Session(
    id=uuid4(),
    user_email="ana@example.com",
    token="token",
    stored_token="token",
    cookies=(Cookie("amhrdrauth", "secret"),),
    fingerprint="f",
)
MIB = 1024 * 1024


def says(*parts: bytes) -> Script:
    async def script(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return script


def forever(first: bytes, again: bytes, every_s: float = 0.0) -> Script:
    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while not writer.is_closing():
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(every_s)

    return script


def cut_off(answer: bytes) -> Script:
    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    return script


def packed(encoding: bytes, body: bytes) -> Script:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body))
    return says(head, body)


BOMB = gzip.compress(b"[" + b" " * 100 * MIB + b"]")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

HARM: dict[str, Script] = {
    "a gzip bomb": packed(b"gzip", BOMB),
    "a bomb within a bomb": packed(b"gzip, gzip", gzip.compress(BOMB)),
    "a bomb of another kind": packed(b"deflate", zlib.compress(b" " * 100 * MIB)),
    "gzip that is none": packed(b"gzip", b"{}"),
    "gzip that ends too soon": packed(b"gzip", gzip.compress(b'{"bookings": []}')[:-6]),
    "an unknown encoding": packed(b"x-evil", b"{}"),
    "a body without end": forever(CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"),
    "a body that says it is long": says(HEAD + b"Content-Length: 999999999999\r\n\r\n", b" " * 2 * MIB),
    "a body that comes drop by drop": forever(CHUNKED, b"1\r\n \r\n", 0.01),
    "a chunk of a size without end": forever(CHUNKED, b"0" * 65536),
    "headers without end": forever(HEAD, b"X-Y: " + b"z" * 8000 + b"\r\n"),
    "one header without end": forever(HEAD + b"X-Y: ", b"z" * 65536),
    "headers that come drop by drop": forever(HEAD, b"X: y\r\n", 0.01),
    "a status line without end": forever(b"HTTP/1.1 200 ", b"O" * 65536),
    "continue without end": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),
    "another protocol": says(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "two lengths": says(HEAD + b"Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}"),
    "a body of no length that is cut off": cut_off(HEAD + b'\r\n{"bookState": 1, "i'),
    "a body of no length of which nothing comes": cut_off(HEAD + b"\r\n"),
    "nothing at all": says(),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_client, "QUESTION_S", 0.5)


@asynccontextmanager
async def gym_that(script: Script) -> AsyncIterator[AimHarderGym]:
    async def guest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await script(writer)
            await reader.read()  # until the guest has left
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(guest, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        gyms = AimHarder(f"{url}/{{box}}", url, None, time.time)
        async with gyms.visit(Box(subdomain="mygym", aimharder_id="7"), SESSION) as gym:
            yield gym


@pytest.mark.parametrize("harm", HARM)
async def test_a_question_gets_no_answer_in_time_and_in_little_memory(harm: str) -> None:
    async with gym_that(HARM[harm]) as gym:
        tracemalloc.start()
        try:
            async with asyncio.timeout(2):
                with pytest.raises(BoxSilentError):
                    await gym.listing("20261126", "")
            assert tracemalloc.get_traced_memory()[1] < 8 * MIB
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("harm", HARM)
async def test_a_booking_that_was_answered_so_may_have_been_carried_out(harm: str) -> None:
    async with gym_that(HARM[harm]) as gym:
        held = gym.hold(REQUEST)
        await held.ready()
        held.fire()
        async with asyncio.timeout(2):
            reply = await held.reply(within_s=0.5)
        await held.aclose()
        assert reply.kind is ReplyKind.NO_ANSWER


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (HEAD + b'\r\n{"bookState": 1, "id": "7"}', ReplyKind.BOOKED),
        (b"HTTP/1.1 500 X\r\n\r\n<ht", ReplyKind.NOTHING_SAID),
    ],
)
async def test_what_is_said_before_the_end_counts_though_no_length_was_given(answer: bytes, kind: ReplyKind) -> None:
    async with gym_that(cut_off(answer)) as gym:
        held = gym.hold(REQUEST)
        await held.ready()
        held.fire()
        assert (await held.reply(within_s=1)).kind is kind
        await held.aclose()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with receiver() as elsewhere:
        location = f"http://127.0.0.1:{elsewhere.port}/api".encode()
        redirect = says(
            b"HTTP/1.1 %d X\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % (status, location)
        )
        async with gym_that(redirect) as gym:
            for question in (gym.whoami, partial(gym.listing, "20261126", ""), partial(gym.refresh, "token", "f")):
                with pytest.raises(BoxSilentError, match=f"HTTP {status}"):
                    await question()
            held = gym.hold(REQUEST)
            await held.ready()
            held.fire()
            assert (await held.reply(within_s=1)).kind is ReplyKind.NOT_HERE
            await held.aclose()
        assert elsewhere.connections == []


async def test_a_packed_answer_is_read() -> None:
    body = gzip.compress(b'{"bookings": [{"id": 501, "bookState": null}]}')
    async with gym_that(packed(b"gzip", body)) as gym:
        assert set(await gym.listing("20261126", "")) == {"501"}


async def test_a_cookie_that_no_header_can_carry_is_passed_over_and_the_others_are_kept() -> None:
    cookies = "".join(
        f"Set-Cookie: {cookie}\r\n"
        for cookie in ('name="José"', 'x="a\x01b"', "AWSALB=abc; Path=/", "PHPSESSID=p; Partitioned")
    )
    answer = says(HEAD + cookies.encode("latin-1") + b'Content-Length: 16\r\n\r\n{"bookings": []}')
    async with gym_that(answer) as gym:
        await gym.listing("20261126", "")
        assert {name: value for name, value, _ in gym.cookies} == {
            "amhrdrauth": "secret",
            "AWSALB": "abc",
            "PHPSESSID": "p",
        }
