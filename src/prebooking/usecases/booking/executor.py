"""Runs the pipeline for a delivery or the sweep, within a budget of time."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import structlog

from prebooking.domain.budget import Budget
from prebooking.domain.errors import StoreRefusedError, StoreUnavailableError
from prebooking.domain.ports import Clock, Metrics
from prebooking.usecases.booking.pipeline import Pipeline
from prebooking.usecases.booking.record import DeliveryResult

_log = structlog.get_logger()

_TO_ANSWER_S = 0.1  # of the budget, for the response itself

DATABASE_UNAVAILABLE = DeliveryResult("database-unavailable", 2.0)


class Executor:
    """Executes a prebooking once, however often it is called. Calls `on_ended` when one may have ended."""

    def __init__(
        self,
        pipeline: Pipeline,
        clock: Clock,
        metrics: Metrics,
        *,
        max_duration_s: float,
        on_ended: Callable[[], None],
    ) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._metrics = metrics
        self._max_duration_s = max_duration_s
        self._on_ended = on_ended

    def stop(self) -> None:
        """Begins the shutdown: executions that have not begun are released, others are finished."""
        self._pipeline.shutdown.begin()

    @property
    def stopping(self) -> bool:
        return self._pipeline.shutdown.in_progress

    async def execute(
        self, prebooking_id: UUID, version: int | None, budget: Budget | None = None, *, settles: bool = False
    ) -> DeliveryResult:
        """Executes the prebooking within `budget`; None: one that starts now.

        `version`: that of the message; None from the sweep. `settles`: the prebooking is probably parked, so it can
        wait.
        """
        budget = budget or Budget(self._clock, self._clock.monotonic(), self._max_duration_s)
        # All log lines have the prebooking's id, also those of the sweep, which have no request id.
        with structlog.contextvars.bound_contextvars(prebooking_id=str(prebooking_id)):
            try:
                async with asyncio.timeout(budget.left - _TO_ANSWER_S):
                    result = await self._pipeline.execute(prebooking_id, version, budget, settles=settles)
            except (StoreUnavailableError, StoreRefusedError, TimeoutError) as exc:
                _log.warning("execution_interrupted", reason=str(exc) or "out of time")
                result = DATABASE_UNAVAILABLE
            if result.retry_after is None:
                self._on_ended()
            self._metrics.observe_delivery(result.outcome, by_sweep=version is None, left_s=budget.left)
            _log.info(
                "delivery_answered" if version is not None else "sweep_executed",
                outcome=result.outcome,
                retry_after_s=result.retry_after,
                took_ms=round((self._clock.monotonic() - budget.arrived) * 1000, 1),
            )
            structlog.contextvars.unbind_contextvars("attempt", "box")
        return result
