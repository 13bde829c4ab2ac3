"""Runs one case of the matrix: the fault is triggered, another replica repairs, the ledgers decide."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pprint import pformat
from typing import Any

from tests.reliability.faults import judge
from tests.reliability.faults.cases import Case
from tests.reliability.faults.environment import Environment, Infrastructure, Ledgers, open_environment
from tests.reliability.faults.failpoints import Action
from tests.reliability.faults.fault_injection import FaultInjection, NotReachedError, Occurrence, Scenario
from tests.reliability.faults.gym import LAX, STRICT

_CASE_S = 200.0
_TRIGGER_S = 45.0
_SAVED_S = 15.0  # until what was being rotated at the end is saved
_WATCHED_S = 1.5  # beyond the opening of what was cancelled
_NUMBERS = count(1)
#: Its budget outlasts the lease of its claim: when it goes on it has time left, and only its token stops it.
_PATIENT = {"MAX_DURATION_SECONDS": "14"}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which a case is run."""

    qstash_delivers: bool = True  #: QStash delivers; else the replica that the fault meets sweeps
    settings: tuple[tuple[str, str], ...] = (("LEAD_SECONDS", "1"), ("MAX_DURATION_SECONDS", "7"))  #: short leases
    survivor: tuple[tuple[str, str], ...] = (("SWEEP_SECONDS", "1"),)
    box: str = STRICT


@dataclass(frozen=True, slots=True)
class Result:
    case: Case
    healed_s: float | None  #: from the fault, or from the opening if that was later, to the right end
    outcomes: Sequence[str]
    bookings: int  #: at the gym
    lost_session: bool
    wrong: Sequence[str]
    evidence: str

    @property
    def not_reached(self) -> bool:
        return any(NotReachedError.__name__ in what for what in self.wrong)


async def run(infrastructure: Infrastructure, case: Case, conditions: Conditions) -> Result:
    """Runs it, and once more if its point was not reached: then the machine was too busy for what leads there."""
    result = await _run(infrastructure, case, conditions)
    return await _run(infrastructure, case, conditions) if result.not_reached else result


async def _run(infrastructure: Infrastructure, case: Case, conditions: Conditions) -> Result:
    box = case.scenario.box or conditions.box
    async with open_environment(infrastructure, next(_NUMBERS), box, conditions.settings) as environment:
        healed_s: float | None = None
        wrong: list[str] = []
        try:
            async with asyncio.timeout(_CASE_S):
                healed_s, wrong = await _run_scenario(environment, case, conditions)
                if case.residue and box == LAX:
                    wrong = []  # it may have booked twice: that is counted
        except* (TimeoutError, AssertionError, RuntimeError) as group:
            wrong = [f"{type(exc).__name__}: {exc}".rstrip(": ") for exc in _leaves(group)]
        ledgers = await environment.ledgers()
        evidence = await _evidence(environment, ledgers) if wrong else ""
        outcomes = [judge.outcome(row) for row in ledgers.rows]
        lost_session = bool(await environment.sessions_lost(within_s=0))
        return Result(case, healed_s, outcomes, len(ledgers.bookings), lost_session, wrong, evidence)


async def reaches(infrastructure: Infrastructure, case: Case, conditions: Conditions) -> bool:
    """Whether its point is reached at all: it ends there."""
    box = case.scenario.box or conditions.box
    async with open_environment(infrastructure, next(_NUMBERS), box, conditions.settings) as environment:
        await _set_up(environment, case, conditions)
        fault = _fault_of(environment, case)
        acting = asyncio.create_task(case.scenario.act(environment, fault))
        try:
            async with asyncio.timeout(_TRIGGER_S):
                await fault.triggered()
        except (TimeoutError, RuntimeError):
            return False
        finally:
            acting.cancel()
            await asyncio.gather(acting, return_exceptions=True)
    return True


async def _set_up(environment: Environment, case: Case, conditions: Conditions) -> None:
    if case.scenario.signed_in:
        await environment.sign_in()
    await environment.start(_of_the_first(case, conditions))
    environment.by_hour = case.scenario.by_hour
    await environment.box.open_class(case.scenario.opens_in_s, unlisted=case.scenario.by_hour)


def _fault_of(environment: Environment, case: Case) -> FaultInjection:
    return FaultInjection(environment.first, case.point, case.action, again=case.when is Occurrence.AGAIN)


async def _run_scenario(environment: Environment, case: Case, conditions: Conditions) -> tuple[float, list[str]]:
    """Seconds to heal, and what went wrong."""
    scenario = case.scenario
    await _set_up(environment, case, conditions)
    triggered_at = await _trigger(environment, case, conditions)
    ledgers = await _final(environment, scenario)
    if case.action is Action.DEPLOY:
        await environment.first.gone()
    dead = scenario.may_fail != "session_expired" or not await environment.signed_in()
    verdict = partial(
        judge.wrongs,
        opens_ns=environment.box.opens_ns,
        to_be_cancelled=scenario.cancels,
        to_be_given_back=scenario.gives_back,
        cancelled_ns=environment.cancelled_ns,
        true_reason=scenario.may_fail if dead else None,
    )
    wrong = verdict(ledgers)
    if case.action is Action.STOP:
        token = await environment.stored_token()
        after = await _once_it_goes_on(environment, scenario)
        if scenario.newest_session_stays and await environment.stored_token() != token:
            wrong.append("once it went on: its sign-in took the place of a newer one")
        changes = judge.changes(ledgers, after, requests=case.residue)
        wrong += [f"once it went on: {what}" for what in changes + verdict(after)]
    if not case.loses_session:
        wrong += await environment.sessions_lost(within_s=_SAVED_S)
    since = triggered_at if scenario.cancels else max(triggered_at, environment.box.opens_at.timestamp())
    return max(0.0, judge.ended_at(ledgers) - since), wrong


def _of_the_first(case: Case, conditions: Conditions) -> dict[str, str]:
    """Settings of the replica that the fault meets."""
    settings = {} if case.scenario.sweeps or not conditions.qstash_delivers else {"SWEEP_SECONDS": "0"}
    if case.action is Action.STOP and not case.begun:
        settings |= _PATIENT
    return settings


async def _trigger(environment: Environment, case: Case, conditions: Conditions) -> float:
    """Returns when another replica lives and the client is done; the moment of the fault."""
    fault = _fault_of(environment, case)
    async with asyncio.TaskGroup() as both:
        both.create_task(case.scenario.act(environment, fault))
        try:
            async with asyncio.timeout(_TRIGGER_S):
                await fault.triggered()
        except TimeoutError:
            raise NotReachedError from None
        triggered_at = time.time()
        await environment.box.clear_faults()
        if case.action is Action.KILL:
            await environment.first.gone()
        if case.action in (Action.KILL, Action.DEPLOY):
            await environment.start(dict(conditions.survivor), environment.first.port)
        else:
            await environment.start(dict(conditions.survivor))
    return triggered_at


async def _final(environment: Environment, scenario: Scenario) -> Ledgers:
    await environment.until_final()
    if scenario.cancels and scenario.past_opening:
        await environment.until_past_opening(_WATCHED_S)
    return await environment.ledgers()


async def _once_it_goes_on(environment: Environment, scenario: Scenario) -> Ledgers:
    """The stopped one should find that there is nothing left to do."""
    environment.first.resume()
    await environment.first.idle()
    return await _final(environment, scenario)


async def _evidence(environment: Environment, ledgers: Ledgers) -> str:
    rows = [{name: value for name, value in row.items() if value is not None} for row in ledgers.rows]
    seen = {
        "opens_at": environment.box.opens_at,
        "rows": rows,
        "gym": await environment.box.request_log(),
        "bookings": ledgers.bookings,
    }
    return pformat(seen, width=200)


def _leaves(group: BaseExceptionGroup[Any]) -> Iterable[BaseException]:
    for exc in group.exceptions:
        if isinstance(exc, BaseExceptionGroup):
            yield from _leaves(exc)
        else:
            yield exc
