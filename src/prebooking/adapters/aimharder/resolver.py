"""Resolves the host names of gyms, for all executions of a replica.

There is one look-up of a name at a time, which all callers share, and no other name waits for it. The result is cached
for seconds: long enough for many executions at one opening, and short enough that a wrong answer does not last.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address

import structlog

from prebooking.adapters.aimharder.addresses import NotPublicError, is_own_machine, is_public
from prebooking.adapters.aimharder.c_ares import Found, UnresolvedError, look_up
from prebooking.concurrency.single_flight import SingleFlight

_log = structlog.get_logger()

_LOCALHOST = ("127.0.0.1", "::1")
_WITHIN_S = 5.0  # longer than the callers' time-outs: the next caller gets the answer of a slow name server
_REMEMBERED_S = (1.0, 10.0)  # the TTL, within these bounds
_REFUSED_S = 1.0  # no address, or one that is not allowed: looked up again soon
_MOST_NAMES = 1000
_MOST_ADDRESSES = 64  # each is checked in the event loop


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
    """Resolves and checks names. `allowed`: whether an address may be connected to.

    A name with any address that is not allowed is refused as a whole.
    """

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
        self._flights = SingleFlight[_Known]()

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Returns all addresses of a host, if all are allowed.

        Raises NotPublicError and UnresolvedError, both OSErrors.
        """
        known = self._known.get(host)
        if known is not None and self._now() < known.until:
            return known.result()
        return (await self._flights.result(host, partial(self._fly, host))).result()

    async def aclose(self) -> None:
        await self._flights.aclose()

    async def _fly(self, host: str) -> _Known:
        known = await self._found(host)
        self._known.pop(host, None)
        if len(self._known) >= _MOST_NAMES:
            del self._known[next(iter(self._known))]  # the oldest entry
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
    """The resolver of one execution, which keeps the first addresses of a host until its end.

    The operator's URLs may name this machine itself.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._pinned: dict[str, tuple[str, ...]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        if is_own_machine(host):
            return _LOCALHOST if host == "localhost" else (host,)
        if host not in self._pinned:
            try:
                found = await self._resolver.addresses(host)
            except NotPublicError as exc:
                _log.warning("address_refused", reason=str(exc))
                raise
            self._pinned.setdefault(host, found)
        return self._pinned[host]
