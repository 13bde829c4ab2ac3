"""What counts as a complete answer of the destination."""

import asyncio

import pytest

from prebooking_local.qstash.courier import Answer, DeliveryError, Parcel, send


async def answer_to(raw: bytes) -> Answer:
    """What is made of these bytes, after which the destination closes the connection."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(reply, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        return await asyncio.wait_for(send(Parcel(f"http://127.0.0.1:{port}", "POST", {}, b""), lambda: None), 2)


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil closed", 200, b"until closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", 503, b""),
    ],
)
async def test_an_answer_is_complete_in_any_of_the_framings_of_http(raw: bytes, status: int, body: bytes) -> None:
    answer = await answer_to(raw)
    assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ncut",
        b"not HTTP at all\r\n\r\n",
    ],
)
async def test_a_truncated_or_malformed_answer_is_none(raw: bytes) -> None:
    with pytest.raises(DeliveryError):
        await answer_to(raw)
