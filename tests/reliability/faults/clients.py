"""HTTP clients of a service whose replicas die: they keep no connection, and ask again."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx


def fresh_client(base_url: str = "", *, timeout_s: float) -> httpx.AsyncClient:
    """Without kept connections, which a server may close just when they are used again."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=base_url, timeout=timeout_s, trust_env=False, limits=limits)


async def until_answered(
    ask: Callable[[], Awaitable[httpx.Response]], *, within_s: float, pause_s: Callable[[], float]
) -> httpx.Response | None:
    """Returns the first answer that is no server's error; None if time is up."""
    until = time.time() + within_s
    while time.time() < until:
        try:
            answer = await ask()
            if not answer.is_server_error:
                return answer
        except httpx.TransportError:
            pass
        await asyncio.sleep(pause_s())
    return None
