"""A body read up to a limit, as it comes and once unpacked: a few kilobytes can unpack to gigabytes."""

import zlib

import httpx

ENCODING = "gzip"  # the one that is asked for, and taken
LARGEST = 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS


async def read_limited(response: httpx.Response) -> bytes:
    """Returns the body of a streamed response. Raises httpx.RemoteProtocolError, as `unpacked`."""
    packed = bytearray()
    async for chunk in response.aiter_raw():
        packed += chunk
        if len(packed) > LARGEST:
            raise httpx.RemoteProtocolError(f"an answer of over {LARGEST} bytes")
    return unpacked(packed, response.headers.get("content-encoding", ""))


def unpacked(packed: bytes | bytearray, encoding: str, largest: int = LARGEST) -> bytes:
    """`encoding`: of Content-Encoding. Raises httpx.RemoteProtocolError: too large, broken, or packed otherwise."""
    encoding = encoding.strip().lower() or "identity"
    if not packed or encoding == "identity":
        return bytes(packed)
    if encoding != ENCODING:
        raise httpx.RemoteProtocolError("an answer in an encoding that nobody asked for")
    unpacking = zlib.decompressobj(_GZIP)
    try:
        body = unpacking.decompress(packed, largest + 1)
    except zlib.error as exc:
        raise httpx.RemoteProtocolError("an answer that is not packed as it says") from exc
    if len(body) > largest:
        raise httpx.RemoteProtocolError(f"an answer of over {largest} bytes, unpacked")
    if not unpacking.eof:
        raise httpx.RemoteProtocolError("an answer that ends too soon")
    return body
