"""Claims prebookings, and renews the leases of claims until they have begun: a lease is short.

So after a replica is killed long before an opening, others can claim its rows within seconds. A replica whose claim was
cancelled or taken over notices it, and stops preparing.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from prebooking.domain.budget import Budget
from prebooking.domain.claims import Claim, ClaimKey
from prebooking.domain.errors import StoreRefusedError, StoreUnavailableError
from prebooking.domain.ports import Clock, Store
from prebooking.domain.transitions import Transition
from prebooking.usecases.booking.gate import Gate

_log = structlog.get_logger()

#: Of each claim and each renewal: long enough for a lost call and its repeat.
LEASE_S = 5.0
_EVERY_S = 2.0
_SOON_S = 0.3  # after a renewal that got no answer
_FRESH_S = 1.0  # a claim made or renewed later than this long ago waits for the next pass
_TRY_AGAIN_S = 0.2
_AT_ONCE = 500  # in one call, which then takes the database some 30 ms


class ClaimLostError(Exception):
    """Another execution has claimed the row, or it has ended, as `answer` says."""

    def __init__(self, answer: Transition) -> None:
        super().__init__(answer.outcome)
        self.answer = answer


class _RenewedClaim:
    def __init__(self, claim: Claim, token: UUID) -> None:
        self.key = ClaimKey(prebooking_id=claim.prebooking.id, token=token)
        self.renewed_at = claim.sent_at  #: when it was claimed or renewed last, on the monotonic clock
        self.interruption = asyncio.timeout(None)
        self.lost: Transition | None = None


class Claims:
    """The claims of a process, which one task renews while there are any. Its state does not matter after a crash."""

    def __init__(self, store: Store, gate: Gate, clock: Clock) -> None:
        self._store = store
        self._gate = gate
        self._clock = clock
        self._renewed: dict[UUID, _RenewedClaim] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._calling = False

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
        """Claims the prebooking. Raises StoreUnavailableError.

        A call without an answer is repeated with the same token, since the claim may have been made. `spare_s`: it
        gives up with less of the budget left.
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

    @asynccontextmanager
    async def renewed(self, claim: Claim, token: UUID) -> AsyncIterator[None]:
        """Renews the claim's lease. Raises ClaimLostError inside of the block once the claim is lost."""
        entry = _RenewedClaim(claim, token)
        try:
            async with entry.interruption:
                self._renewed[token] = entry
                if self._renewing is None:
                    self._renewing = asyncio.create_task(self._renew_all())
                yield
        except TimeoutError as exc:
            if entry.lost is not None and entry.interruption.expired():
                raise ClaimLostError(entry.lost) from exc
            raise
        finally:
            self._renewed.pop(token, None)
            # Cancelling a call under way could cost a connection.
            if not self._renewed and self._renewing is not None and not self._calling:
                self._renewing.cancel()
                self._renewing = None

    async def _renew_all(self) -> None:
        pause_s = _EVERY_S
        while self._renewed:
            await self._clock.sleep(pause_s * random.uniform(0.8, 1))  # noqa: S311  # spreads replicas
            await self._gate.quiet()
            self._calling = True
            pause_s = _EVERY_S if await self._renew_stale() else _SOON_S
            self._calling = False
        self._renewing = None

    async def _renew_stale(self) -> bool:
        """Returns whether the database answered."""
        old = self._clock.monotonic() - _FRESH_S
        stale = [entry for entry in self._renewed.values() if entry.renewed_at <= old]
        for first in range(0, len(stale), _AT_ONCE):
            try:
                await self._renew(stale[first : first + _AT_ONCE])
            except (StoreUnavailableError, StoreRefusedError) as exc:
                _log.warning("claims_not_renewed", claims=len(stale) - first, reason=str(exc))
                return False
            except Exception:  # noqa: BLE001  # a bug must not end the renewals
                _log.exception("claims_not_renewed")
                return False
        return True

    async def _renew(self, some: list[_RenewedClaim]) -> None:
        asked = self._clock.monotonic()
        lost = await self._store.renew([entry.key for entry in some], lease_s=LEASE_S)
        now = asyncio.get_running_loop().time()
        for entry in some:
            entry.renewed_at = asked
            # A claim that has begun or ended meanwhile is not renewed: the answer does not concern it.
            if entry.lost is None and entry.key.token in lost and entry.key.token in self._renewed:
                entry.lost = lost[entry.key.token]
                entry.interruption.reschedule(now)
