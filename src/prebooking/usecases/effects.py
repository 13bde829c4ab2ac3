"""Requests that can't be repeated: the answer to one that was sent is awaited, and its result is stored.

An effect is one coroutine that `Effects.run` runs in a task of its own. Nothing cancels it: no time-out of a caller, no
disconnected client, no second stop signal, and not the event loop at its end.

* The steps before the request may be interrupted anywhere: a lease, a recorded intent, a count of attempts.
* `Effect.send` sends the requests that can't be repeated. It refuses once the process stops, since the result might not
be stored any more. Its time limit is far longer than that of other requests.
* `Effect.store` repeats the write of the result until it is done, however long the database is down, and for GRACE_S
after the stop of the process. After the first failure waiting callers get a provisional result.

There is one effect of a name and an owner at a time, which all callers share. Other replicas are excluded by a lease in
the database, which the effect takes and releases. The shutdown calls `Effects.drain` before it closes the clients.

The rotation of a session's token is one, and so is signing in: the count of tries and the lease, then `send` of login,
`setrefresh` and `whoami` together, then `store` of the session by its generation. So is giving a place back: the
recorded intent, `send` of the cancellation, `store` of the result by the listing. A booking is not an effect: because
it is settled after a begin its answer may be lost, and its time ends with its budget.
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

GRACE_S = 60.0  # from the stop: most platforms can be configured to wait that long
_STOPPING = "the process is about to end"
_READING_S = 0.5  # beyond the limit, for an answer that has already arrived
_PAUSES_S = (0.2, 3.0)  # between two attempts to store: the first and the longest, doubling


class Effect(Generic[_T]):
    """An effect under way. Its coroutine sends and stores through it, and callers wait for its result."""

    def __init__(self, effects: "Effects", name: str, clock: Clock) -> None:
        self._effects = effects
        self._name = name
        self._clock = clock
        self._result: asyncio.Future[_T] = asyncio.get_running_loop().create_future()

    async def result(self) -> _T:
        """Returns or raises the result of the coroutine, or returns its provisional result."""
        return await asyncio.shield(self._result)

    async def send(self, request: Callable[[], Awaitable[_A]], *, within_s: float, not_after: float = math.inf) -> _A:
        """Sends the request that can't be repeated, and raises what it raises.

        Raises NotSentError once the process stops, or later than `not_after` (on the monotonic clock), and
        BoxSilentError if there is no answer in time.
        """
        if self._effects.stopping or self._clock.monotonic() >= not_after:
            raise NotSentError(_STOPPING if self._effects.stopping else "it is too late")
        try:
            async with _limit(within_s):
                return await request()
        # A task within it was cancelled when the event loop ended. The request may have been sent.
        except (TimeoutError, asyncio.CancelledError) as exc:
            raise BoxSilentError(f"the answer to the {self._name} is lost: {type(exc).__name__}") from exc

    async def store(self, write: Callable[[], Awaitable[_A]], *, provisional: _T | None = None) -> _A:
        """Repeats `write` until it is done. Raises StoreUnavailableError after the grace period of the stop,
        StoreRefusedError.

        `provisional`: the result for waiting callers, once an attempt has failed.
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
        """Passes the result of the coroutine on to the waiting callers."""
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
        self._result.exception()  # there may be no caller left


@asynccontextmanager
async def _limit(within_s: float) -> AsyncIterator[None]:
    """Like asyncio.timeout, but an answer that has arrived by then is still read.

    After a process was stopped or suspended for longer, the answer is in its socket and the timer is due, and the event
    loop calls the timer first.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as timeout:
        due = loop.call_later(within_s, lambda: timeout.reschedule(loop.time() + _READING_S))
        try:
            yield
        finally:
            due.cancel()


class Effects:
    """The effects of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._under_way: dict[tuple[str, str], tuple[Effect[Any], asyncio.Task[Any]]] = {}
        self.give_up_at = math.inf  #: the end of the grace period, on the monotonic clock

    @property
    def stopping(self) -> bool:
        return self.give_up_at < math.inf

    def run(self, name: str, owner: str, work: Callable[[Effect[_T]], Coroutine[Any, Any, _T]]) -> Effect[_T]:
        """Starts an effect, or returns the one of this name and owner that is under way.

        Once the process stops none is started: its result is NotSentError.
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
        """Begins the stop: nothing more is sent, and results are stored within the grace period."""
        self.give_up_at = min(self.give_up_at, self._clock.monotonic() + GRACE_S)

    async def wait_idle(self) -> None:
        """Waits until all current effects have ended. A cancellation takes effect only then."""
        cancelled: asyncio.CancelledError | None = None
        while self._under_way:
            try:
                await asyncio.wait([task for _, task in self._under_way.values()])
            except asyncio.CancelledError as exc:
                cancelled = exc
        if cancelled is not None:
            raise cancelled

    async def drain(self) -> None:
        """Calls `stop`, then `wait_idle`."""
        self.stop()
        await self.wait_idle()

    def _ended(self, key: tuple[str, str], task: asyncio.Task[Any]) -> None:
        effect, _ = self._under_way.pop(key)
        effect.end(task)


class _UncancellableTask(asyncio.Task[_T]):
    """A task that only its own time-outs can cancel: they come from a timer of the loop, outside of any task."""

    def cancel(self, msg: Any | None = None) -> bool:
        try:
            by = asyncio.current_task()
        except RuntimeError:  # the loop was stopped: asyncio.run cancels the remaining tasks, and waits for them
            return False
        return super().cancel(msg) if by is None or by is self else False
