"""What a gym, or whoever stands in for it, can answer."""

import asyncio
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
from hypothesis import strategies as st
from tests.fuzz.inputs import inputs

from prebooking.adapters.aimharder.answers import read_listing, read_new_token, read_reply, read_whoami
from prebooking.adapters.aimharder.cookies import Cookies
from prebooking.adapters.http11.connection import HttpConnection, Response, ignore
from prebooking.adapters.http11.limited_body import unpacked
from prebooking.domain.cookies import Cookie
from prebooking.domain.outcome import Reply

_BOOKED = b'{"clasesContratadas": "X", "id": "106015104", "bookState": 1, "errorMssg": "", "errorMssgLang": ""}'
_REFUSED = '{"bookState": -12, "errorMssg": "<p>No puedes reservar con tanta antelación</p>", "error": 1}'.encode()
_LISTING = (
    b'{"bookings": [{"id": 501, "idres": null, "bookState": null, "cancelledId": 0, "time": "10:00"}], "day": "x"}'
)
_STATUSES = (200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 429, 500, 502, 503, 504)


def storable(*texts: str | None) -> None:
    """What a database takes and a page shows."""
    for text in texts:
        if text is not None:
            assert text.isprintable()
            assert len(text.encode()) <= 1200


def a_booking_answer(data: bytes) -> None:
    reply = read_reply(_STATUSES[len(data) % len(_STATUSES)], data)
    assert isinstance(reply, Reply)
    storable(reply.detail, reply.booking_id)
    assert reply.book_state is None or isinstance(reply.book_state, int)


def answer_to(read: Callable[[Any], Any]) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        try:
            said = read(json.loads(data))
        except (ValueError, RecursionError):  # as whoever asks expects
            return
        if isinstance(said, dict):
            for class_id, listed in said.items():
                assert isinstance(class_id, str)
                storable(listed.reservation_id)

    return target


def set_cookies(data: bytes) -> None:
    """What is kept of Set-Cookie can be sent again, in one line of ASCII."""
    cookies = Cookies([Cookie("amhrdrauth", "secret")])
    cookies.take(data.decode("latin-1"), host="mygym.aimharder.com", path="/api/book")
    sent = cookies.header("mygym.aimharder.com")
    assert sent.isascii()
    assert not set(sent) & set("\r\n\0")


def a_packed_answer(data: bytes) -> None:
    encoding = ("gzip", "gzip", "identity", "deflate", "gzip, gzip", "")[len(data) % 6]
    with suppress(httpx.RemoteProtocolError):
        assert len(unpacked(data, encoding)) <= max(1024 * 1024, len(data))


async def _read(answer: bytes) -> Response:
    """Returns what a connection makes of the bytes that a gym sends, in pieces, before it closes."""
    connection = HttpConnection()
    connection.connection_made(_Transport())
    connection.expect(ignore)
    connection.send(b"GET / HTTP/1.1\r\n\r\n")
    for start in range(0, len(answer), 7):
        connection.data_received(answer[start : start + 7])
    connection.eof_received()
    connection.connection_lost(None)
    return await connection.answer()


class _Transport(asyncio.Transport):
    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass


def an_answer_of_http(data: bytes) -> None:
    with suppress(httpx.RemoteProtocolError):
        response = asyncio.run(_read(data))
        assert 200 <= response.status <= 999
        assert all(name == name.lower() for name, _ in response.headers)


def _gzip(body: bytes) -> bytes:
    packing = zlib.compressobj(wbits=31)
    return packing.compress(body) + packing.flush()


_ANSWERS = ("bookState", "id", "errorMssg", "errorMssgLang", "errorMsg", "error", "message", "logout")
_CLASSES = ("bookings", "id", "idres", "bookState", "cancelledId", "logout")
TARGETS: dict[str, tuple[Callable[[bytes], None], st.SearchStrategy[bytes]]] = {
    "a booking's answer": (a_booking_answer, inputs(_BOOKED, _REFUSED, b'{"logout": 1}', names=_ANSWERS)),
    "a listing": (answer_to(read_listing), inputs(_LISTING, names=_CLASSES)),
    "an answer to whoami": (answer_to(read_whoami), inputs(b'{"data": [{"id": 1}]}', names=("data", "logout"))),
    "an answer to tokenUpdate": (answer_to(read_new_token), inputs(b'{"newToken": "x"}', names=("newToken", "logout"))),
    "a gym's cookies": (
        set_cookies,
        inputs(b"AWSALB=abc/def+=; Path=/; Secure", b'a="\\073b"; Max-Age=5', b"amhrdrauth=1|2"),
    ),
    "an answer of HTTP": (
        an_answer_of_http,
        inputs(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            names=("Content-Length", "Transfer-Encoding", "chunked", "Connection", "Upgrade", "HTTP/1.1"),
        ),
    ),
    "a packed answer": (a_packed_answer, inputs(_gzip(_LISTING), _gzip(b" " * 2_000_000), _LISTING)),
}
