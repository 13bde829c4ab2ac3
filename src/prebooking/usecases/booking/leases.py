"""Claims, and keeps what is claimed until it has begun: a claim's lease is short, and renewed while its holder lives.

So a replica that is killed long before an opening keeps the others waiting for seconds; and one whose claim was
cancelled or taken over hears of it, instead of making ready what may not leave.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from prebooking.domain.errors import StoreRefusedError, StoreUnavailableError
from prebooking.domain.ports import Claim, Clock, Held, Store, Transition
from prebooking.domain.timing import BEGIN_GRACE_S, Budget, Lease
from prebooking.usecases.booking.context import ExecutionContext
from prebooking.usecases.booking.gate import Gate

_log = structlog.get_logger()

#: What a claim asks for, and each renewal. A shorter one would not survive a call that is lost and repeated.
LEASE_S = 5.0
_EVERY_S = 2.0
_SOON_S = 0.3  # after a renewal that got no answer
_FRESH_S = 1.0  # what was claimed or renewed that lately can wait for the next pass
_TRY_AGAIN_S = 0.2
_AT_ONCE = 500  # in one call, which then takes the database some 30 ms


class ClaimLostError(Exception):
    """Another has the row, or nobody may have it any more; `answer` says which."""

    def __init__(self, answer: Transition) -> None:
        super().__init__(answer.outcome)
        self.answer = answer


class _Kept:
    def __init__(self, claim: Claim, token: UUID) -> None:
        self.held = Held(prebooking_id=claim.prebooking.id, token=token)
        self.renewed_at = claim.sent_at  #: asked for then, on the monotonic clock
        self.interruption = asyncio.timeout(None)
        self.lost: Transition | None = None


class Leases:
    """One task for all claims of a process, as long as it has any. It holds nothing that matters after a crash."""

    def __init__(self, store: Store, gate: Gate, clock: Clock) -> None:
        self._store = store
        self._gate = gate
        self._clock = clock
        self._kept: dict[UUID, _Kept] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._asking = False

    async def claim(
        self,
        prebooking_id: UUID,
        token: UUID,
        version: int | None,
        budget: Budget,
        *,
        max_attempts: int,
        spare_s: float,
    ) -> Claim | Transition:
        """Asks again with the same token where no answer comes, which may have been the claim.

        `spare_s`: of the budget, without which it is no use. Raises StoreUnavailableError.
        """
        while True:
            try:
                return await self._store.claim(
                    prebooking_id,
                    token,
                    version,
                    horizon_s=budget.horizon,
                    max_attempts=max_attempts,
                    lease_s=LEASE_S,
                )
            except StoreUnavailableError:
                if budget.left <= spare_s:
                    raise
                await self._clock.sleep(_TRY_AGAIN_S)

    async def begin(self, context: ExecutionContext, *, max_attempts: int, book_until_minutes: float) -> Transition:
        """Asks again with the same token while the request could still be sent. Raises StoreUnavailableError.

        However often it is begun, and however late that arrives: it lasts at least until `context.lease` ends.
        """
        lease = context.lease = Lease.until(self._clock, context.budget.answer_by + BEGIN_GRACE_S)
        while True:
            try:
                return await self._store.begin(
                    context.prebooking.id,
                    context.token,
                    lease_s=lease.left,
                    max_attempts=max_attempts,
                    settled=context.settled,
                    starts_at=context.starts_at,
                    book_until_minutes=book_until_minutes,
                )
            except StoreUnavailableError:
                if not context.budget.may_send():
                    raise
                await self._clock.sleep(_TRY_AGAIN_S)

    @asynccontextmanager
    async def renewed(self, claim: Claim, token: UUID) -> AsyncIterator[None]:
        """Raises ClaimLostError out of whatever runs inside, as soon as the database says so."""
        kept = _Kept(claim, token)
        try:
            async with kept.interruption:
                self._kept[token] = kept
                if self._renewing is None:
                    self._renewing = asyncio.create_task(self._renew_all())
                yield
        except TimeoutError as exc:
            if kept.lost is not None and kept.interruption.expired():
                raise ClaimLostError(kept.lost) from exc
            raise
        finally:
            self._kept.pop(token, None)
            if (
                not self._kept and self._renewing is not None and not self._asking
            ):  # a call under way is not worth a connection
                self._renewing.cancel()
                self._renewing = None

    async def _renew_all(self) -> None:
        pause_s = _EVERY_S
        while self._kept:
            await self._clock.sleep(pause_s * random.uniform(0.8, 1))  # noqa: S311  # spreads replicas
            await self._gate.quiet()
            self._asking = True
            pause_s = _EVERY_S if await self._renew_stale() else _SOON_S
            self._asking = False
        self._renewing = None

    async def _renew_stale(self) -> bool:
        """Whether the database answered."""
        old = self._clock.monotonic() - _FRESH_S
        stale = [kept for kept in self._kept.values() if kept.renewed_at <= old]
        for first in range(0, len(stale), _AT_ONCE):
            try:
                await self._renew(stale[first : first + _AT_ONCE])
            except (StoreUnavailableError, StoreRefusedError) as exc:
                _log.warning("claims_not_renewed", claims=len(stale) - first, reason=str(exc))
                return False
            except Exception:  # noqa: BLE001  # an error of ours, in one pass
                _log.exception("claims_not_renewed")
                return False
        return True

    async def _renew(self, some: list[_Kept]) -> None:
        asked = self._clock.monotonic()
        lost = await self._store.renew([kept.held for kept in some], lease_s=LEASE_S)
        now = asyncio.get_running_loop().time()
        for kept in some:
            kept.renewed_at = asked
            # Whoever has begun or ended meanwhile is not waiting any more: to them it says nothing new.
            if kept.held.token in lost and kept.held.token in self._kept:
                kept.lost = lost[kept.held.token]
                kept.interruption.reschedule(now)
