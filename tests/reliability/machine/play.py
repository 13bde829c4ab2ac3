"""Runs of the state machine on one stage, opened once: it is synchronous, and the stage's loop runs when it asks."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test
from tests.reliability.machine.leaping_loop import LeapingLoop
from tests.reliability.machine.stage import Stage, open_stage

from prebooking_local.postgres import Postgres

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Play:
    stage: Stage
    run: Callable[[Coroutine[Any, Any, Any]], Any]

    @contextmanager
    def within(self, context: AbstractAsyncContextManager[Any]) -> Iterator[None]:
        self.run(_entered(context))
        try:
            yield
        finally:
            self.run(_left(context))


@contextmanager
def open_play(server: Postgres) -> Iterator[Play]:
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        opening = open_stage(server, cast("LeapingLoop", runner.get_loop()))
        play = Play(runner.run(_entered(opening)), runner.run)
        try:
            yield play
        finally:
            runner.run(_left(opening))


async def _entered(context: AbstractAsyncContextManager[_T]) -> _T:
    return await context.__aenter__()


async def _left(context: AbstractAsyncContextManager[Any]) -> None:
    await context.__aexit__(None, None, None)


def play_runs(
    machine: Callable[[], RuleBasedStateMachine],
    *,
    runs: int,
    steps: int,
    number: int | None,
    phases: Sequence[Phase] = tuple(Phase),
) -> None:
    """`number`: the seed; None: the same runs each time."""
    profile = settings(
        max_examples=runs,
        stateful_step_count=steps,
        derandomize=number is None,
        phases=[phase for phase in phases if phase is not Phase.explain],
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    test = get_state_machine_test(cast("type[RuleBasedStateMachine]", machine), settings=profile)
    (test if number is None else seed(number)(test))()
