"""Searches the class of one execution while the gym does not list it, and fires the request once it is found.

Nothing is awaited between finding the id and the write: the held request gets the id, and if the class has opened it
is fired in the same call that processes the listing.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from prebooking.domain.budget import LAST_SHOT_S
from prebooking.domain.classes import Listing
from prebooking.domain.outcome import Ending, Outcome
from prebooking.usecases.booking.context import Decision, ExecutionContext, Release
from prebooking.usecases.booking.day_listings import Watcher
from prebooking.usecases.booking.hold import aim

# A gym that lists other classes so long after the opening does not have this one.
NOT_LISTED_S = 20.0


class ClassSearch:
    """The search of one execution, which also fires its request."""

    def __init__(self, context: ExecutionContext) -> None:
        self._context = context
        self._leave: Callable[[], None] = lambda: None
        self._looked = asyncio.Event()
        self._opened = False
        self._sent = False

    def start(self) -> None:
        """Starts requesting the listing until `stop`, unless the class was found."""
        context = self._context
        if context.target.found is None:
            watcher = Watcher(gym=context.gym, opening=context.opening, rank=context.rank, look=self._look)
            key = (context.box.host, context.box.aimharder_id, context.request.day)
            self._leave = context.shared.listings.watch(key, watcher)

    def stop(self) -> None:
        self._leave()
        self._leave = lambda: None

    def send(self) -> None:
        """Fires the request if there is a class to book, else as soon as there is. Called once the class has opened."""
        self._opened = True
        held, target = self._context.held, self._context.target
        if not self._sent and held is not None and target.may_be_sent:
            held.fire()
            self._sent = held.is_fired
            self._context.sent_to_empty_day = target.day_is_empty
            # On an empty day the search goes on: the next request may be for an id that is listed by then.
            if self._sent and not target.day_is_empty:
                self.stop()

    def warm(self) -> None:
        """See prebooking.domain.ports.HeldRequest."""
        if self._context.held is not None and self._context.target.may_be_sent:
            self._context.held.warm()

    async def pass_gate(self) -> Decision | None:
        """Waits for the opening, and for the class to be listed. Returns None once the request was fired.

        After the end of the lease, such as after a suspend, nothing is sent.
        """
        context = self._context
        await context.shared.gate.pass_through(context.opening, context.rank, self.send, self.warm)
        return await self._until_sent()

    async def _until_sent(self) -> Decision | None:
        context = self._context
        while not self._sent:
            if not context.may_send():
                over = context.claim.last_reason()
                return Release(over if context.target.may_be_sent else not_listed(context))
            self._looked.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, context.budget.left - LAST_SHOT_S)):
                    await self._looked.wait()
            ending = never_listed(context) if self._looked.is_set() else None
            if ending is not None and not self._sent:
                return ending
        return None

    def _look(self, listing: Listing) -> None:
        self._context.target.look(listing)
        held = self._context.held
        if held is not None and held.fired_at is None:
            aim(self._context, held)
        if self._opened:
            self.send()
        if self._context.target.found is not None:
            self.stop()
        self._looked.set()


def never_listed(context: ExecutionContext) -> Ending | None:
    """Returns the ending if the gym lists other classes, but not this one within its time."""
    given_up = context.target.others and context.since_opening_s >= NOT_LISTED_S
    return not_listed(context) if given_up else None


def not_listed(context: ExecutionContext) -> Ending:
    others = context.target.others
    if others:
        return Ending(Outcome.CLASS_NOT_FOUND, f"{others} other class{'es' if others > 1 else ''} on that day")
    return Ending(Outcome.TOO_EARLY if context.target.day_is_empty else Outcome.GYM_UNREACHABLE)
