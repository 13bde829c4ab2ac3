"""A held request that is ready at the opening, however soon a server closes idle connections.

Once its connection is closed, it is held anew on another one. And it is renewed in time, so that at the opening its
connection is in the middle of its life: neither so old that the server or a middlebox may close it just then, nor so
young that there was no time for a second attempt. How long connections live is presumed, until one is closed. The
instants are scattered, so that not all are renewed at once.

Not covered: a connection that is closed within the last tenth of a second. Its request is held anew after the opening,
since nothing is started so shortly before (gate.py).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import structlog

from prebooking.domain.errors import BoxSilentError
from prebooking.domain.opening_clock import OpeningClock
from prebooking.domain.outcome import Reply, ReplyKind
from prebooking.domain.ports import HeldRequest

_log = structlog.get_logger()

# Servers and middleboxes close idle connections after 5 s (node, Apache), 60 s (AWS's balancers) or more; where it is
# less, that is learnt from the first connection that is closed.
_PRESUMED_LIFE_S = 40.0
_AGE_AT_OPENING = (0.3, 0.75)  # of that life
_TO_TRY_TWICE_S = 0.6  # before the opening, where connections live that long
_TO_TRY_S = 0.2
_SCATTER_S = 1.0  # if a server closes all connections at once, not all reconnect at once
_TRY_AGAIN_S = 0.2


class RenewedRequest:
    """See prebooking.domain.ports.HeldRequest. `hold` makes another such request; `opening` is in epoch seconds.

    `quiet`: see prebooking.usecases.booking.gate.Gate. `may_send`: called right before the write, since the process may
    have been suspended.
    """

    def __init__(
        self,
        held: HeldRequest,
        hold: Callable[[], Awaitable[HeldRequest]],
        *,
        opening: float,
        clock: OpeningClock,
        quiet: Callable[[], Awaitable[None]],
        may_send: Callable[[], bool],
    ) -> None:
        self._held: HeldRequest | None = held
        self._hold = hold
        self._opening = opening
        self._clock = clock
        self._quiet = quiet
        self._may_send = may_send
        self._class_id: str | None = None  #: the class of the latest `aim`
        self._life_s = _PRESUMED_LIFE_S
        self._took_s = 0.0  # of the last attempt to hold it on a new connection
        self._fired = asyncio.Event()
        self._keeping = asyncio.create_task(self._keep())

    async def ready(self) -> None:
        if self._held is not None:
            await self._held.ready()

    async def lost(self) -> float:
        """Never returns, since lost connections are replaced here."""
        return await asyncio.Future()

    def aim(self, class_id: str) -> None:
        self._class_id = class_id
        if self._held is not None:
            self._held.aim(class_id)

    def fire(self) -> None:
        """Writes it if it may be sent; during a reconnect as soon as it is held again."""
        if self._may_send():
            if self._held is not None:
                self._held.fire()
            self._fired.set()

    def warm(self) -> None:
        if self._may_send() and self._held is not None:
            self._held.warm()

    @property
    def is_fired(self) -> bool:
        """Returns whether `fire` was called while it might be sent."""
        return self._fired.is_set()

    @property
    def fired_at(self) -> float | None:
        return None if self._held is None else self._held.fired_at

    async def reply(self, *, within_s: float) -> Reply:
        """Returns the reply. If the connection was being replaced at the opening, the request is sent once it is."""
        asked = self._clock.monotonic()
        if self._fired.is_set() and self._held is None:
            await asyncio.wait({self._keeping}, timeout=within_s)
            self._send_late()
        self._keeping.cancel()
        if not self._fired.is_set() or self._held is None:
            return Reply(ReplyKind.NEVER_LEFT, detail="no connection at the opening")
        return await self._held.reply(within_s=max(0.0, within_s - (self._clock.monotonic() - asked)))

    def _send_late(self) -> None:
        if self._held is not None and self._may_send():
            self._held.fire()

    async def aclose(self) -> None:
        self._keeping.cancel()
        await asyncio.wait({self._keeping})
        if self._held is not None:
            await self._held.aclose()

    async def _keep(self) -> None:
        renew_at, losses = self._replace_at(), 0
        while True:
            idle_s = await self._closed_or_due(renew_at)
            if self._fired.is_set():
                return
            if idle_s is not None:
                losses += 1
                self._life_s = min(self._life_s, idle_s)
                await self._close()
                await self._clock.sleep_until(self._after_loss(losses, idle_s))
            await self._renew()
            if self._fired.is_set():
                return
            _log.info(
                "connection_renewed",
                reason="age" if idle_s is None else "closed",
                idle_s=None if idle_s is None else round(idle_s, 1),
                ahead_s=round(self._opening - self._clock.now(), 1),
            )
            renew_at = self._replace_at()

    def _after_loss(self, losses: int, idle_s: float) -> float:
        """Returns when to reconnect. After repeated losses that is so late that the next connection should last."""
        now = self._clock.now()
        renew_at = self._replace_at()
        if losses > 1 and renew_at < inf:
            return renew_at
        if losses > 1 and idle_s < _TRY_AGAIN_S:
            return now + _TRY_AGAIN_S
        return now + random.uniform(0, max(0.0, min(_SCATTER_S, (self._opening - now) / 4)))  # noqa: S311  # no secret

    def _replace_at(self) -> float:
        """Returns when to replace the connection; `inf` if it will be young enough at the opening."""
        youngest, oldest = (share * self._life_s for share in _AGE_AT_OPENING)
        earliest = max(oldest, _TO_TRY_S)
        if self._opening - self._clock.now() <= earliest:
            return inf
        latest = min(max(youngest, _TO_TRY_TWICE_S) + 2 * self._took_s, earliest)
        return self._opening - random.uniform(latest, earliest)  # noqa: S311  # no secret

    async def _closed_or_due(self, until: float) -> float | None:
        """Returns how long the connection had been idle when it was closed; None if `until` came first."""
        assert self._held is not None
        lost = asyncio.ensure_future(self._held.lost())
        waiting: set[asyncio.Future[Any]] = {lost}
        if until < inf:
            waiting.add(asyncio.ensure_future(self._clock.sleep_until(until)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return lost.result() if lost.done() else None
        finally:
            for one in waiting:
                one.cancel()

    async def _renew(self) -> None:
        """Holds the request on a new connection, then closes the old one. After the opening there is one attempt."""
        while True:
            await self._quiet()
            began = self._clock.monotonic()
            try:
                another = await self._hold()
                break
            except BoxSilentError:
                if self._fired.is_set():
                    return
                await self._clock.sleep(_TRY_AGAIN_S)
        self._took_s = self._clock.monotonic() - began
        if self._held is not None and self._fired.is_set():
            await another.aclose()
            return
        if self._class_id is not None:  # perhaps only since the other one was begun
            another.aim(self._class_id)
        old, self._held = self._held, another
        if old is not None:
            await old.aclose()

    async def _close(self) -> None:
        old, self._held = self._held, None
        if old is not None:
            await old.aclose()
