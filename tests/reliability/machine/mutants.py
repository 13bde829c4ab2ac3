"""The service, broken on purpose: the machine must find each of these, or it proves nothing.

Not part of the suite: `pytest tests/reliability/machine/mutants.py -s` prints how many runs each took, and writes the
table in README.md after a complete run. Those that the machine can't find say why; the same runs of the service
as it is must find nothing.
"""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import Phase
from hypothesis.errors import Flaky
from tests.reliability.faults import sql_mutants
from tests.reliability.machine import mutants_table
from tests.reliability.machine.environment import Environment
from tests.reliability.machine.fault_rules import FaultRules
from tests.reliability.machine.runner import Runner, open_runner, run_machine

from prebooking.domain.errors import BoxSilentError
from prebooking.domain.outcome import Ending, Outcome, ReplyKind
from prebooking.domain.standing import NotFound
from prebooking.usecases.booking import pipeline, resolve, settle
from prebooking.usecases.booking.context import Again, ExecutionContext, Release
from prebooking.usecases.booking.gate import Gate
from prebooking_local.postgres import Postgres

_SEED = 20270301
_RUNS, _AT_ONCE = 600, 20
_FRUITLESS_RUNS = 200  # where nothing should be found

Mutant = Callable[[Environment], AbstractAsyncContextManager[None]]


def code(target: Any, name: str, replacement: Any) -> Mutant:
    @asynccontextmanager
    async def mutated(_: Environment) -> AsyncIterator[None]:
        with patch.object(target, name, replacement):
            yield

    return mutated


@dataclass(frozen=True, slots=True)
class SqlMutant:
    """Pieces of a function's text, as it is in force, replaced by others."""

    function: str
    replacements: tuple[tuple[str, str], ...]

    @asynccontextmanager
    async def __call__(self, environment: Environment) -> AsyncIterator[None]:
        breaking = sql_mutants.mutated(environment.database, self.function, *self.replacements)
        with environment.loop.outside_call():
            await breaking.__aenter__()
        try:
            yield
        finally:
            with environment.loop.outside_call():
                await breaking.__aexit__(None, None, None)


def sql(function: str, *replacements: tuple[str, str]) -> Mutant:
    return SqlMutant(function, replacements)


async def settled_unasked(context: ExecutionContext) -> None:
    context.settled = True


_by_listing = settle.by_listing


async def lost_is_failed(context: ExecutionContext, reply: Any) -> Any:
    if reply.kind is ReplyKind.NO_ANSWER:
        return reply.ending(Outcome.GYM_UNREACHABLE)
    return await _by_listing(context, reply)


async def lost_is_released(context: ExecutionContext, reply: Any) -> Any:
    if reply.kind is ReplyKind.NO_ANSWER:
        return Release(reply.ending(Outcome.GYM_UNREACHABLE))
    return await _by_listing(context, reply)


async def lost_is_repeated(context: ExecutionContext, reply: Any) -> Any:
    if reply.kind is not ReplyKind.NO_ANSWER:
        return await _by_listing(context, reply)
    found = await settle.settle(context)
    return found if isinstance(found, Ending) else Again(reply.ending(Outcome.GYM_UNREACHABLE))


async def refusal_stands(context: ExecutionContext, reply: Any) -> Any:
    if reply.kind is ReplyKind.REFUSED:
        return reply.ending(reply.outcome or Outcome.REFUSED)
    return await _by_listing(context, reply)


async def absent_unless_listed(context: ExecutionContext) -> Ending | NotFound:
    """Whoever isn't seen is absent: though the class isn't either, or the session is dead."""
    try:
        listing = await context.settling.listing(context.request.day, context.request.family_id)
    except BoxSilentError:
        return NotFound.UNKNOWN
    listed = listing.get(context.request.class_id or "")
    return (listed and listed.ending()) or NotFound.ABSENT


async def open_gate(_: Gate, opening: float, rank: Any, fire: Callable[[], None], warm: Any) -> None:
    del opening, rank, warm
    fire()


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    mutant: Mutant
    survives: str = ""  #: why the machine can't find it, where it can't


_BUDGET = (
    "each worker here stops before its lease ends; it takes a process that is frozen, or several guards broken at once:"
    " the matrix (stopped) and the campaign's breaks (no-tokens)"
)
CASES = [
    Case("a begun row is not settled before it is repeated", code(pipeline, "settle_earlier", settled_unasked)),
    Case("a lost answer of the gym is a failure", code(resolve, "by_listing", lost_is_failed)),
    Case("a lost answer is released, not parked", code(resolve, "by_listing", lost_is_released)),
    Case("a lost answer is repeated as soon as the listing says absent", code(resolve, "by_listing", lost_is_repeated)),
    Case(
        "a refusal is believed after a shot without an answer",
        code(resolve, "by_listing", refusal_stands),
        "it takes a listing that lags behind a request without an answer, and then a refusal: the campaign has them",
    ),
    Case("whoever is not listed is absent, whoever asks", code(settle, "_settle", absent_unless_listed)),
    Case("the gate stands open", code(Gate, "pass_through", open_gate)),
    Case("a begun row can be cancelled", sql("cancel_prebooking", ("prebooking.is_begun(r)", "false"))),
    Case("a message is attached for an old version", sql("attach_message", ("r.version <> p_version", "false"))),
    Case("a lease can be taken before its end", sql("claim_prebooking", ("prebooking.lease_end(r) > t", "false"))),
    Case(
        "the begin is not fenced by the token",
        sql("begin_booking", ("r.claim_token is distinct from p_token", "false")),
        _BUDGET,
    ),
    Case(
        "the end is not fenced by the token",
        sql("finish_booking", ("r.claim_token is distinct from p_token", "false")),
        _BUDGET,
    ),
    Case("a late message of an old version is executed", sql("claim_prebooking", ("r.version <> p_version", "false"))),
    Case(
        "the sweep forgets what is parked", sql("sweep_prebookings", ("'settle', settle_ids", "'settle', '[]'::jsonb"))
    ),
    Case(
        "the sweep forgets what a dead worker had claimed", sql("sweep_prebookings", ("and not e.begun", "and false"))
    ),
    Case("what is over is begun all the same", sql("begin_booking", ("t >= r.give_up_at", "false"))),
    Case(
        "a settling claim counts as an attempt",
        sql("claim_prebooking", ("attempts + (not begun)::integer", "attempts + 1")),
    ),
    Case(
        "what cannot be settled ends at once",
        sql("claim_prebooking", ("+ interval '24 hours'", "+ interval '0 hours'")),
    ),
    Case(
        "a retry forgets that a booking may have been made",
        sql(
            "retry_row",
            ("claim_token = null,", "claim_token = null, booking_started_at = null, begun_token = null,"),
        ),
        "a begun row fails a day after its end, too late for a retry: tests/postgres has one that was written so",
    ),
    Case(
        "anybody's prebooking can be cancelled",
        sql("cancel_prebooking", ("and pg_catalog.lower(user_email) = pg_catalog.lower(p_user_email)", "")),
    ),
]


class Watched(FaultRules):
    """Keeps what is found. Hypothesis repeats it to report it, and a broken service does not do the same twice."""

    def __init__(self, runner: Runner, found: list[str]) -> None:
        super().__init__(runner)
        self._found = found

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            if isinstance(wrong := sys.exception(), AssertionError):
                self._found.append(str(wrong))


_played: dict[str, str] = {}


@pytest.fixture
def runner(server: Postgres) -> Iterator[Runner]:
    """A environment of its own: a service that was broken may leave the next one broken too."""
    with open_runner(server) as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def _table() -> Iterator[None]:
    yield
    if _played.keys() == {case.name for case in CASES}:
        mutants_table.write([_played[case.name] for case in CASES], most=_RUNS)


def search(runner: Runner, most: int) -> tuple[int, str | None]:
    """How many runs it took, and what was found."""
    runs, found = 0, list[str]()

    def machine() -> FaultRules:
        nonlocal runs
        runs += not found
        return Watched(runner, found)

    for number in range(_SEED, _SEED + most // _AT_ONCE):
        with suppress(AssertionError, Flaky):
            run_machine(machine, runs=_AT_ONCE, steps=30, number=number, phases=[Phase.generate])
        if found:
            return runs, found[0]
    return runs, None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_machine_finds_it(runner: Runner, case: Case) -> None:
    with runner.within(case.mutant(runner.environment)):
        runs, found = search(runner, _FRUITLESS_RUNS if case.survives else _RUNS)
    assert found or case.survives, f"not in {runs} runs"
    shown = mutants_table.shown(found) if found else f"not found: {case.survives}"
    _played[case.name] = f"| {case.name} | {runs if found else '-'} | {shown} |"
    print(f"\n{_played[case.name]}")  # noqa: T201


def test_the_machine_finds_nothing_where_nothing_is_broken(runner: Runner) -> None:
    assert search(runner, _FRUITLESS_RUNS)[1] is None
