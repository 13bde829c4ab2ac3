"""Requests that can't be repeated: the answer to one that was sent is awaited, and its result is stored.

An effect is one coroutine, run by `Effects.run` in a task of its own, which nobody can cancel: not the caller that
lost its patience, not a client that hung up, not a stop that is told twice, not the event loop at its end.

* The steps before it may be given up at any line: a lease, a recorded intent, a count of tries.
* `Effect.send` makes the request, or the requests, that can't be repeated. After the stop it refuses, since the result
  of a request might not be stored any more. Its limit on the wait for the answer is far longer than a question's.
* `Effect.store` repeats the write of the result until it is done: as long as the process lives, and for GRACE_S after
  its stop, however long the database is away. After the first failure the callers that wait get a provisional result.

There is one effect of a name and an owner at a time: other callers wait for the same one. Other replicas are kept off
by a lease in the database, which the effect takes and gives back. The shutdown calls `Effects.drain` before it closes
the clients.

The rotation of a session's token is one, and so is signing in: the count of tries and the lease, then `send` of login,
`setrefresh` and `whoami` together, then `store` of the session by its generation. So is giving a place back: the
recorded intent, `send` of the cancellation, `store` of what the listing then shows. A booking is none: its begin mark
and its settling already make it safe to lose the answer, and its time ends with its budget.
"""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Generic, TypeVar

import structlog

from prebooking.domain.errors import BoxSilentError, NotSentError, PrebookingError, StoreUnavailableError
from prebooking.domain.ports import Clock

_T = TypeVar("_T")
_A = TypeVar("_A")
_log = structlog.get_logger()

GRACE_S = 60.0  # from the stop: as long as a platform that is told so lets a process end
_STOPPING = "the process is about to end"
_READING_S = 0.5  # beyond the limit, for an answer that is here already
_PAUSES_S = (0.2, 3.0)  # between two tries to store: the first and the longest, doubling


class Effect(Generic[_T]):
    """An effect that is under way: its work sends and stores through it, and callers wait for its result."""

    def __init__(self, effects: "Effects", name: str, clock: Clock) -> None:
        self._effects = effects
        self._name = name
        self._clock = clock
        self._result: asyncio.Future[_T] = asyncio.get_running_loop().create_future()

    async def result(self) -> _T:
        """Returns or raises what the work does, or returns the provisional result that it gave before its end."""
        return await asyncio.shield(self._result)

    async def send(self, request: Callable[[], Awaitable[_A]], *, within_s: float, not_after: float = math.inf) -> _A:
        """Makes the request that can't be repeated; raises what it raises.

        Raises NotSentError once the process is about to end, or later than `not_after` (on the monotonic clock), and
        BoxSilentError when there is no answer in time.
        """
        if self._effects.stopping or self._clock.monotonic() >= not_after:
            raise NotSentError(_STOPPING if self._effects.stopping else "it is too late")
        try:
            async with _limit(within_s):
                return await request()
        # Cancelled: something within it was, when the event loop ended. It may have left all the same.
        except (TimeoutError, asyncio.CancelledError) as exc:
            raise BoxSilentError(f"the answer to the {self._name} is lost: {type(exc).__name__}") from exc

    async def store(self, write: Callable[[], Awaitable[_A]], *, provisional: _T | None = None) -> _A:
        """Repeats `write` until it is done. `provisional` is the result for those who wait, once a try has failed.

        Raises StoreUnavailableError once the grace after the stop is over, and StoreRefusedError.
        """
        pause, longest = _PAUSES_S
        while True:
            try:
                return await write()
            except (StoreUnavailableError, asyncio.CancelledError) as exc:
                reason = str(exc) or type(exc).__name__
            if self._clock.monotonic() >= self._effects.give_up_at:
                raise StoreUnavailableError(reason)
            _log.warning("effect_not_stored_yet", effect=self._name, reason=reason)
            if provisional is not None and not self._result.done():
                self._result.set_result(provisional)
            await self._clock.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # spreads load, guards nothing
            pause = min(2 * pause, longest)

    def end(self, task: asyncio.Task[_T]) -> None:
        """Passes the end of the work on to the callers that wait."""
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, PrebookingError):
            _log.error("effect_failed", effect=self._name, exc_info=error)
        if self._result.done():
            return
        if task.cancelled():
            self._result.cancel()
        elif error is not None:
            self.fail(error)
        else:
            self._result.set_result(task.result())

    def fail(self, error: BaseException) -> None:
        self._result.set_exception(error)
        self._result.exception()  # nobody may be left to hear of it


@asynccontextmanager
async def _limit(within_s: float) -> AsyncIterator[None]:
    """Like asyncio.timeout, but an answer that has arrived by then is still read.

    A process that stood still for longer than that, stopped or suspended, goes on with the answer in its socket and
    the timer due, and the event loop calls the timer first.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as timeout:
        due = loop.call_later(within_s, lambda: timeout.reschedule(loop.time() + _READING_S))
        try:
            yield
        finally:
            due.cancel()


class Effects:
    """All of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._under_way: dict[tuple[str, str], tuple[Effect[Any], asyncio.Task[Any]]] = {}
        self.give_up_at = math.inf  #: on the monotonic clock; when the grace after the stop is over

    @property
    def stopping(self) -> bool:
        return self.give_up_at < math.inf

    def run(self, name: str, owner: str, work: Callable[[Effect[_T]], Coroutine[Any, Any, _T]]) -> Effect[_T]:
        """Starts it, unless that owner's effect of this name is under way: then that one is returned.

        Once the process is about to end none is started: its result is NotSentError.
        """
        found = self._under_way.get((name, owner))
        if found is not None:
            return found[0]
        effect: Effect[_T] = Effect(self, name, self._clock)
        if self.stopping:
            effect.fail(NotSentError(_STOPPING))
            return effect
        task = _UncancellableTask(work(effect), loop=asyncio.get_running_loop())
        self._under_way[name, owner] = effect, task
        task.add_done_callback(partial(self._ended, (name, owner)))
        return effect

    def stop(self) -> None:
        """The process is about to end: nothing more is sent, and results are stored within the grace."""
        self.give_up_at = min(self.give_up_at, self._clock.monotonic() + GRACE_S)

    async def wait_idle(self) -> None:
        """Returns when all effects that were under way have ended; a cancellation meanwhile is obeyed then."""
        cancelled: asyncio.CancelledError | None = None
        while self._under_way:
            try:
                await asyncio.wait([task for _, task in self._under_way.values()])
            except asyncio.CancelledError as exc:
                cancelled = exc
        if cancelled is not None:
            raise cancelled

    async def drain(self) -> None:
        """The end: `stop`, and `wait_idle`."""
        self.stop()
        await self.wait_idle()

    def _ended(self, key: tuple[str, str], task: asyncio.Task[Any]) -> None:
        effect, _ = self._under_way.pop(key)
        effect.end(task)


class _UncancellableTask(asyncio.Task[_T]):
    """A task that only its own time-outs can cancel: they come from a timer of the running loop, outside any task."""

    def cancel(self, msg: Any | None = None) -> bool:
        try:
            by = asyncio.current_task()
        except RuntimeError:  # the loop has been stopped: asyncio.run cancels whatever is left, and waits for it
            return False
        return super().cancel(msg) if by is None or by is self else False
