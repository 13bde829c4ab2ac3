"""The system's resolver, of whose threads there are few, and each is taken until its name server answers."""

import asyncio
import socket
from functools import partial
from ipaddress import ip_address

from prebooking.concurrency.single_flight import SingleFlight


class SystemResolver:
    """All who ask for one name at the same time share one thread, so that names that hang leave threads for others."""

    def __init__(self) -> None:
        self._flights = SingleFlight[tuple[str, ...]]()

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Returns the addresses in the system's order. Raises OSError."""
        return await self._flights.result(host, partial(_look_up, host))


async def _look_up(host: str) -> tuple[str, ...]:
    try:
        return (str(ip_address(host)),)
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
