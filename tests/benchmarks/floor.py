"""The floor of this machine: no scheduler, no client library, no store.

Connections opened and requests built beforehand; sleep in steps to 2 ms before the opening, spin, write in order.
"""

import asyncio
import gc
import time
from datetime import datetime
from urllib.parse import urlencode

from tests.benchmarks.scene import BOX, NANO, Scene


class _Client(asyncio.Protocol):
    def __init__(self, answered: asyncio.Semaphore) -> None:
        self._answered = answered

    def data_received(self, data: bytes) -> None:
        self._answered.release()


async def floor(scene: Scene, opens_at: datetime, class_id: int, day: str, count: int) -> list[float]:
    """Sends the booking requests of the first `count` people; when each was written, in ms after the opening."""
    host, _, port = scene.stack.aimharder_url.removeprefix("http://").partition(":")
    loop, answered = asyncio.get_running_loop(), asyncio.Semaphore(0)
    requests = [_request(host, person.cookie, class_id, day) for person in scene.people[:count]]
    connections = [(await loop.create_connection(lambda: _Client(answered), host, int(port)))[0] for _ in requests]
    opening_ns = int(opens_at.timestamp() * 1_000_000) * 1000
    while (left := opening_ns / NANO - 0.002 - time.time()) > 0:
        await asyncio.sleep(left * 0.95 if left > 0.02 else left)
    gc.disable()
    while time.time_ns() < opening_ns:
        pass
    written_ns = []
    for connection, request in zip(connections, requests, strict=True):
        written_ns.append(time.time_ns())
        connection.write(request)
    gc.enable()
    for _ in requests:
        await asyncio.wait_for(answered.acquire(), 10)
    for connection in connections:
        connection.close()
    return [(written - opening_ns) / 1e6 for written in written_ns]


def _request(host: str, cookie: str, class_id: int, day: str) -> bytes:
    form = urlencode({"id": class_id, "day": day, "insist": 0, "familyId": ""})
    head = (
        f"POST /{BOX['slug']}/api/book HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
    )
    return (head + form).encode()
