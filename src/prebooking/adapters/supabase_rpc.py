"""Calls SQL functions through Supabase's client: `rpc` alone, under our own deadlines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from httpx_aiohttp import AiohttpTransport
from postgrest.exceptions import APIError
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from prebooking.domain.errors import StoreRefusedError, StoreUnavailableError

_TRY_S = 1.0
_PAUSES_S = (0.1, 0.2)  # before the second and the third try
_IN_LINE_S = 5.0
_CONNECTIONS = 8  # of one replica; a database has few, and more in flight make each slower

# Decided on codes, never on texts, which change between versions. Connection and resource troubles, deadlocks,
# timeouts and the gateway's own troubles: a repeat may do better, and every function may be repeated.
_TRANSIENT = ("08", "53", "57P", "PGRST00", "40P01", "55P03", "57014", "502", "503", "504", "520")
# A value that no table takes: no repeat will do better.
_REFUSED = ("22", "23")


@asynccontextmanager
async def open_rpc(url: str, key: str, instance_id: str) -> AsyncIterator["SupabaseRpc"]:
    """One client a replica, over our own connection pool.

    HTTP/1.1, because HTTP/2's GOAWAY would surface as a lost call. Over aiohttp, because a call costs half the CPU of
    httpcore's there; that it reports some lost answers as a failed connect is no matter, as any call may be repeated.
    """
    limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
    transport = AiohttpTransport(limits=limits, trust_env=False)
    async with httpx.AsyncClient(transport=transport, timeout=None) as http:  # noqa: S113  # each try has its own
        options = AsyncClientOptions(
            httpx_client=http,
            persist_session=False,
            auto_refresh_token=False,
            headers={"x-instance-id": instance_id},
        )
        yield SupabaseRpc(await acreate_client(url, key, options))


class SupabaseRpc:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        # In line outside the client: a try's second begins when it has a connection.
        self._line = asyncio.Semaphore(_CONNECTIONS)

    async def call(self, function: str, **arguments: Any) -> dict[str, Any]:
        """Calls it, and twice again after transient failures: each function answers a repeat as it did the first.

        Arguments go without their prefix `p_`. Raises StoreUnavailableError, StoreRefusedError.
        """
        params = {f"p_{name}": _plain(value) for name, value in arguments.items()}
        for pause in (*_PAUSES_S, None):
            try:
                return await self._try(function, params)
            except _TransientError as exc:
                if pause is None:
                    raise StoreUnavailableError(str(exc)) from exc
                await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _try(self, function: str, params: dict[str, Any]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(_IN_LINE_S):
                await self._line.acquire()
        except TimeoutError as exc:
            raise StoreUnavailableError(f"{function}: no connection was free for {_IN_LINE_S} s") from exc
        try:
            async with asyncio.timeout(_TRY_S):
                answer = (await self._client.rpc(function, params).execute()).data
        except (TimeoutError, httpx.TransportError) as exc:
            raise _TransientError(f"{function}: {type(exc).__name__} {exc}".rstrip()) from exc
        except APIError as exc:
            raise _translated(function, exc) from exc
        finally:
            self._line.release()
        if not isinstance(answer, dict) or "outcome" not in answer:
            raise StoreUnavailableError(f"{function}: an answer of another shape")
        return answer


class _TransientError(Exception):
    """Worth another try."""


def _translated(function: str, exc: APIError) -> Exception:
    told = f"{function}: {exc.code} {exc.message}"
    # An empty code: PostgREST's first call on a connection that died while it was idle.
    if exc.code == "" or (exc.code or "").startswith(_TRANSIENT):
        return _TransientError(told)
    return StoreRefusedError(told) if (exc.code or "").startswith(_REFUSED) else StoreUnavailableError(told)


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
