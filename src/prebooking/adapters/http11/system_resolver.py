"""The system's resolver, of whose threads there are few, and each is taken until its name server answers."""

import asyncio
import socket
from functools import partial
from ipaddress import ip_address


class SystemResolver:
    """All who ask for one name at the same time share one thread, so that names that hang leave threads for others."""

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Task[tuple[str, ...]]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Returns the addresses in the system's order. Raises OSError."""
        flight = self._flights.get(host)
        if flight is None:
            flight = self._flights[host] = asyncio.create_task(_look_up(host))
            flight.add_done_callback(partial(self._landed, host))
        # A cancelled caller does not end the look-up for the others.
        return await asyncio.shield(flight)

    def _landed(self, host: str, flight: asyncio.Task[tuple[str, ...]]) -> None:
        del self._flights[host]
        if not flight.cancelled():
            flight.exception()  # retrieved here: perhaps nobody waits any more


async def _look_up(host: str) -> tuple[str, ...]:
    try:
        return (str(ip_address(host)),)
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
