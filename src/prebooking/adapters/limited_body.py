"""An answer read up to a limit, as it comes and once unpacked: a few kilobytes can unpack to gigabytes."""

import zlib

import httpx

ENCODING = "gzip"  # the one that is asked for, and taken
_LARGEST = 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS


async def read_limited(response: httpx.Response) -> bytes:
    """The body of a streamed response. Raises httpx.RemoteProtocolError where it is too large or packed otherwise."""
    packed = bytearray()
    async for chunk in response.aiter_raw():
        packed += chunk
        if len(packed) > _LARGEST:
            raise httpx.RemoteProtocolError(f"an answer of over {_LARGEST} bytes")
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if not packed or encoding == "identity":
        return bytes(packed)
    if encoding != ENCODING:
        raise httpx.RemoteProtocolError("an answer in an encoding that nobody asked for")
    return _unpacked(packed)


def _unpacked(packed: bytearray) -> bytes:
    unpacking = zlib.decompressobj(_GZIP)
    try:
        body = unpacking.decompress(packed, _LARGEST + 1)
    except zlib.error as exc:
        raise httpx.RemoteProtocolError("an answer that is not packed as it says") from exc
    if len(body) > _LARGEST:
        raise httpx.RemoteProtocolError(f"an answer of over {_LARGEST} bytes, unpacked")
    if not unpacking.eof:
        raise httpx.RemoteProtocolError("an answer that ends too soon")
    return body
