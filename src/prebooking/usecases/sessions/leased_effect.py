"""Effects on a user's session that take its lease: one at a time, across all replicas.

They refresh a session or sign it in again. Within a process all callers share the same effect (effects.py). Another
replica, or the other effect, has to wait for the lease.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from prebooking.domain.errors import BoxSilentError
from prebooking.domain.ports import Clock
from prebooking.domain.prebooking import Session
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.usecases.effects import Effect, Effects

LOOK_AGAIN_S = 0.2


class Leased(Protocol):
    """The answer to a lease, or the result of the effect."""

    @property
    def outcome(self) -> StoreOutcome: ...

    @property
    def session(self) -> Session | None: ...


_L = TypeVar("_L", bound=Leased)


async def run_leased(
    effects: Effects,
    clock: Clock,
    name: str,
    user_email: str,
    session: Session,
    work: Callable[[Effect[_L]], Coroutine[Any, Any, _L]],
    *,
    within_s: float,
) -> _L:
    """Runs the effect of this name, again while another one holds the lease, and returns its result.

    An effect that another caller has started may return only `session`: then it is repeated, too. Raises what the
    effect raises, and BoxSilentError if it takes longer than `within_s`: then it goes on.
    """
    until = clock.monotonic() + within_s
    while (left := until - clock.monotonic()) > 0:
        effect = effects.run(name, user_email.lower(), work)
        try:
            async with asyncio.timeout(left):
                found = await effect.result()
        except TimeoutError as exc:
            raise BoxSilentError(f"the {name} takes long; it goes on") from exc
        known = found.session is not None and found.session.token == session.token
        if found.outcome != StoreOutcome.BUSY and not (found.outcome == StoreOutcome.CHANGED and known):
            return found
        await clock.sleep(LOOK_AGAIN_S)
    raise BoxSilentError("another refresh or sign-in of the session is taking too long")


async def lease(ask: Callable[[str], Awaitable[_L]], known: Session, is_the_same: Callable[[Session], bool]) -> _L:
    """Requests the lease by the stored token, again if the session was only encrypted again."""
    stored = known.stored_token
    while True:
        leased = await ask(stored)
        found = leased.session
        if leased.outcome != StoreOutcome.CHANGED or found is None or not is_the_same(found):
            return leased
        stored = found.stored_token
