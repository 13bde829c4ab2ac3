"""Where the names of gyms lead to, for all executions of a replica.

A name is looked up once at a time, whoever asks for it, and no other name waits for it. The answer is good for
seconds: long enough for a crowd, short enough for a wrong one to heal.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from prebooking.adapters.aimharder.addresses import NotPublicError, is_public
from prebooking.adapters.aimharder.c_ares import Found, UnresolvedError, look_up

_WITHIN_S = 5.0  # longer than any question waits: who asks next finds the answer of a slow name server
_REMEMBERED_S = (1.0, 10.0)  # as long as the name servers vouch for it, within these bounds
_REFUSED_S = 1.0  # no address, or none that is allowed: asked again soon
_MOST_NAMES = 1000
_MOST_ADDRESSES = 64  # each is looked at, in the event loop


@dataclass(frozen=True, slots=True)
class _Known:
    until: float
    addresses: tuple[str, ...] = ()
    refusal: type[OSError] = UnresolvedError
    why: str = ""

    def result(self) -> tuple[str, ...]:
        if self.why:
            raise self.refusal(self.why)
        return self.addresses


class Resolver:
    """`allowed`: whether an address may be connected to; a name with one that is not is refused as a whole."""

    def __init__(
        self,
        look_up: Callable[[str], Awaitable[Found]] = look_up,
        *,
        allowed: Callable[[IPv4Address | IPv6Address], bool] = is_public,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = look_up
        self._allowed = allowed
        self._now = now
        self._known: dict[str, _Known] = {}
        self._flights: dict[str, asyncio.Task[_Known]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """All addresses of a host, each of them allowed. Raises NotPublicError and UnresolvedError, both OSErrors."""
        known = self._known.get(host)
        if known is not None and self._now() < known.until:
            return known.result()
        flight = self._flights.get(host)
        if flight is None:
            flight = self._flights[host] = asyncio.create_task(self._fly(host))
            flight.add_done_callback(lambda _: self._flights.pop(host))
        # Who leaves does not end it for the others, nor for who asks next.
        return (await asyncio.shield(flight)).result()

    async def aclose(self) -> None:
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _fly(self, host: str) -> _Known:
        known = await self._found(host)
        self._known.pop(host, None)
        if len(self._known) >= _MOST_NAMES:
            del self._known[next(iter(self._known))]  # the one that was learnt first
        self._known[host] = known
        return known

    async def _found(self, host: str) -> _Known:
        try:
            async with asyncio.timeout(_WITHIN_S):
                found = await self._numbered(host)
            self._check(host, found)
        except TimeoutError:
            return self._refused(UnresolvedError(f"{host}: no name server answered in {_WITHIN_S} s"))
        except (UnresolvedError, NotPublicError) as exc:
            return self._refused(exc)
        shortest, longest = _REMEMBERED_S
        return _Known(self._now() + min(longest, max(shortest, found.ttl_s)), found.addresses)

    async def _numbered(self, host: str) -> Found:
        try:
            return Found((str(ip_address(host)),), _REMEMBERED_S[1])
        except ValueError:
            return await self._look_up(host)

    def _check(self, host: str, found: Found) -> None:
        if not 0 < len(found.addresses) <= _MOST_ADDRESSES:
            raise UnresolvedError(f"{host}: {len(found.addresses)} addresses")
        for address in found.addresses:
            if not self._allowed(ip_address(address)):
                raise NotPublicError(f"{host} leads to {address}, where no gym can be")

    def _refused(self, exc: OSError) -> _Known:
        return _Known(self._now() + _REFUSED_S, refusal=type(exc), why=str(exc))


class PinnedResolver:
    """One execution's: what a host led to when it was first connected to, it leads to until the end."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._pinned: dict[str, tuple[str, ...]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        if host not in self._pinned:
            found = await self._resolver.addresses(host)
            self._pinned.setdefault(host, found)
        return self._pinned[host]
