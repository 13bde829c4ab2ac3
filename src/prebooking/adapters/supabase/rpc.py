"""Calls SQL functions through `rpc` of Supabase's client, under deadlines of our own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from postgrest.exceptions import APIError
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from prebooking.adapters import clock
from prebooking.adapters.sdk_client import open_sdk_client
from prebooking.adapters.supabase.errors import ErrorResponse, TransientError, another_shape, translated
from prebooking.concurrency.priority_semaphore import Priority, PrioritySemaphore
from prebooking.domain.errors import StoreTrouble, StoreUnavailableError

_TRY_S = 1.0
_PAUSES_S = (0.1, 0.2)  # before the second and the third try
_WITHIN_S = 3.5
_QUEUE_S = 5.0
_CONNECTIONS = 8  # of one replica; a database has few, and more in flight make each slower

_response: ContextVar[ErrorResponse] = ContextVar("response")


def _keep_response(answer: httpx.Response) -> None:
    """Of the call that this task makes: errors of Supabase's client have no HTTP status."""
    if (response := _response.get(None)) is not None:
        response.status, response.headers = answer.status_code, answer.headers


@asynccontextmanager
async def open_rpc(url: str, key: str, instance_id: str) -> AsyncIterator["SupabaseRpc"]:
    """One client a replica, over our own connection pool."""
    async with open_sdk_client(connections=_CONNECTIONS, on_response=_keep_response) as http:
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
        self._connections = PrioritySemaphore(_CONNECTIONS)

    async def call(
        self,
        function: str,
        *,
        within_s: float = _WITHIN_S,
        queue_s: float | None = _QUEUE_S,
        priority: Priority = Priority.OTHER,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Calls the function, and repeats the call at most twice after transient failures.

        Every function answers a repeat as it answered the first call. The names of arguments lack their prefix `p_`.
        `within_s`: the time limit of all tries, from when a connection is free: a hundred calls at one instant do not
        mean that the database is in trouble. `queue_s`: the time limit of the wait for a connection; None: no limit.
        The answer also has `sent_at`: when the answered try was sent, on the monotonic clock. Raises
        StoreUnavailableError, StoreRefusedError.
        """
        params = {f"p_{name}": _plain(value) for name, value in arguments.items()}
        reason = f"no connection was free in {queue_s} s"
        try:
            async with self._connections.acquire(priority, within_s=queue_s):
                reason = f"no answer in {within_s} s"
                async with asyncio.timeout(within_s):
                    return await self._tries(function, params)
        except TimeoutError as exc:
            raise StoreUnavailableError(f"{function}: {reason}", trouble=StoreTrouble.SILENT) from exc

    async def _tries(self, function: str, params: dict[str, Any]) -> dict[str, Any]:
        for pause in _PAUSES_S:
            try:
                return await self._try(function, params)
            except TransientError:
                await asyncio.sleep(pause)
        try:
            return await self._try(function, params)
        except TransientError as exc:
            raise StoreUnavailableError(str(exc), trouble=exc.trouble) from exc

    async def _try(self, function: str, params: dict[str, Any]) -> dict[str, Any]:
        sent_at = clock.monotonic()
        response = ErrorResponse()
        _response.set(response)
        try:
            async with asyncio.timeout(_TRY_S):
                answer = (await self._client.rpc(function, params).execute()).data
        except (TimeoutError, httpx.RequestError) as exc:
            reason = f"{function}: {type(exc).__name__} {exc}".rstrip()
            raise TransientError(reason, StoreTrouble.SILENT) from exc
        except APIError as exc:
            if httpx.codes.is_success(response.status):
                raise another_shape(function) from exc
            raise translated(function, exc.code, exc.message, exc.details, response) from exc
        except ValueError as exc:  # a page with the status 200
            raise another_shape(function) from exc
        if not isinstance(answer, dict) or "outcome" not in answer:
            raise another_shape(function)
        return answer | {"sent_at": sent_at}


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
