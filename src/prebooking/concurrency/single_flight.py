"""Shares a call among all who make it at the same time."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class SingleFlight(Generic[_T]):
    """At most one call of a key is under way. A caller that is cancelled does not end it for the others."""

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Task[_T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def result(self, key: str, call: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Returns the result of the call that is under way, else of a new one. Raises what that raised."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(call())
            flight.add_done_callback(partial(self._landed, key))
        return await asyncio.shield(flight)

    async def aclose(self) -> None:
        flights = [*self._flights.values()]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _landed(self, key: str, flight: asyncio.Task[_T]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # retrieved here: perhaps nobody waits any more
