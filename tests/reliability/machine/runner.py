"""Runs the state machine, which is synchronous, on one environment, whose event loop runs only during its calls."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test
from tests.reliability.machine.environment import Environment, open_environment
from tests.support.virtual_time_loop import VirtualTimeLoop

from prebooking_local.postgres import Postgres

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Runner:
    environment: Environment
    run: Callable[[Coroutine[Any, Any, Any]], Any]

    @contextmanager
    def within(self, context: AbstractAsyncContextManager[Any]) -> Iterator[None]:
        self.run(_entered(context))
        try:
            yield
        finally:
            self.run(_left(context))


@contextmanager
def open_runner(server: Postgres) -> Iterator[Runner]:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as loop:
        opening = open_environment(server, cast("VirtualTimeLoop", loop.get_loop()))
        runner = Runner(loop.run(_entered(opening)), loop.run)
        try:
            yield runner
        finally:
            loop.run(_left(opening))


async def _entered(context: AbstractAsyncContextManager[_T]) -> _T:
    return await context.__aenter__()


async def _left(context: AbstractAsyncContextManager[Any]) -> None:
    await context.__aexit__(None, None, None)


def run_machine(
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
