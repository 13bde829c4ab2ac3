"""One cell of the matrix, played: the fault strikes, another replica heals, the ledgers decide."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pprint import pformat
from typing import Any

from tests.reliability.faults import judge
from tests.reliability.faults.aim import Aim, NeverStruckError, Play, Try
from tests.reliability.faults.cases import Cell
from tests.reliability.faults.environment import Ledgers, Stage, Theatre, open_stage
from tests.reliability.faults.failpoints import Action
from tests.reliability.faults.gym import LAX, STRICT

_CELL_S = 200.0
_STRIKE_S = 45.0
_SAVED_S = 15.0  # until what was being rotated at the end is saved
_WATCHED_S = 1.5  # beyond the opening of what was cancelled
_NUMBERS = count(1)
#: Its budget outlasts the lease of its claim: when it goes on it has time left, and only its token tells it off.
_PATIENT = {"MAX_DURATION_SECONDS": "14"}


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which a cell is played."""

    rings: bool = True  #: QStash delivers; else the replica that the fault meets sweeps
    settings: tuple[tuple[str, str], ...] = (("LEAD_SECONDS", "1"), ("MAX_DURATION_SECONDS", "7"))  #: short leases
    survivor: tuple[tuple[str, str], ...] = (("SWEEP_SECONDS", "1"),)
    box: str = STRICT


@dataclass(frozen=True, slots=True)
class Result:
    cell: Cell
    healed_s: float | None  #: from the strike, or from the opening if that was later, to the right end
    outcomes: Sequence[str]
    bookings: int  #: at the gym
    lost_session: bool
    wrong: Sequence[str]
    evidence: str

    @property
    def never_struck(self) -> bool:
        return any(NeverStruckError.__name__ in what for what in self.wrong)


async def run(house: Theatre, cell: Cell, terms: Terms) -> Result:
    """Plays it, once more if its point was not reached: then the machine was too busy for what leads there."""
    result = await _run(house, cell, terms)
    return await _run(house, cell, terms) if result.never_struck else result


async def _run(house: Theatre, cell: Cell, terms: Terms) -> Result:
    async with open_stage(house, next(_NUMBERS), terms.box, terms.settings) as stage:
        healed_s: float | None = None
        wrong: list[str] = []
        try:
            async with asyncio.timeout(_CELL_S):
                healed_s, wrong = await _play(stage, cell, terms)
                if cell.residue and terms.box == LAX:
                    wrong = []  # it may have booked twice: that is counted
        except* (TimeoutError, AssertionError, RuntimeError) as group:
            wrong = [f"{type(exc).__name__}: {exc}".rstrip(": ") for exc in _leaves(group)]
        ledgers = await stage.ledgers()
        evidence = await _evidence(stage, ledgers) if wrong else ""
        outcomes = [judge.outcome(row) for row in ledgers.rows]
        lost_session = bool(await stage.sessions_lost(within_s=0))
        return Result(cell, healed_s, outcomes, len(ledgers.bookings), lost_session, wrong, evidence)


async def reaches(house: Theatre, cell: Cell, terms: Terms) -> bool:
    """Whether its point is reached at all: it ends there, and nothing is judged."""
    async with open_stage(house, next(_NUMBERS), terms.box, terms.settings) as stage:
        await _set_up(stage, cell, terms)
        aim = _aim(stage, cell)
        acting = asyncio.create_task(cell.play.act(stage, aim))
        try:
            async with asyncio.timeout(_STRIKE_S):
                await aim.struck()
        except (TimeoutError, RuntimeError):
            return False
        finally:
            acting.cancel()
            await asyncio.gather(acting, return_exceptions=True)
    return True


async def _set_up(stage: Stage, cell: Cell, terms: Terms) -> None:
    if cell.play.signed_in:
        await stage.sign_in()
    await stage.start(_of_the_first(cell, terms))
    await stage.box.open_class(cell.play.opens_in_s)


def _aim(stage: Stage, cell: Cell) -> Aim:
    return Aim(stage.first, cell.point, cell.action, again=cell.when is Try.AGAIN)


async def _play(stage: Stage, cell: Cell, terms: Terms) -> tuple[float, list[str]]:
    """Seconds to heal, and what went wrong."""
    play = cell.play
    await _set_up(stage, cell, terms)
    struck_at = await _strike(stage, cell, terms)
    ledgers = await _final(stage, play)
    if cell.action is Action.DEPLOY:
        await stage.first.gone()
    dead = play.may_fail != "session_expired" or not await stage.signed_in()
    verdict = partial(
        judge.wrongs,
        opens_ns=stage.box.opens_ns,
        to_be_cancelled=play.cancels,
        cancelled_ns=stage.cancelled_ns,
        true_reason=play.may_fail if dead else None,
    )
    wrong = verdict(ledgers)
    if cell.action is Action.STOP:
        token = await stage.stored_token()
        after = await _once_it_goes_on(stage, play)
        if play.newest_session_stays and await stage.stored_token() != token:
            wrong.append("once it went on: its sign-in took the place of a newer one")
        changes = judge.changes(ledgers, after, requests=cell.residue)
        wrong += [f"once it went on: {what}" for what in changes + verdict(after)]
    if not cell.loses_session:
        wrong += await stage.sessions_lost(within_s=_SAVED_S)
    since = struck_at if play.cancels else max(struck_at, stage.box.opens_at.timestamp())
    return max(0.0, judge.ended_at(ledgers) - since), wrong


def _of_the_first(cell: Cell, terms: Terms) -> dict[str, str]:
    """Settings of the replica that the fault meets."""
    settings = {} if cell.play.sweeps or not terms.rings else {"SWEEP_SECONDS": "0"}
    if cell.action is Action.STOP and not cell.begun:
        settings |= _PATIENT
    return settings


async def _strike(stage: Stage, cell: Cell, terms: Terms) -> float:
    """Returns when another replica lives and the client is done; the moment of the strike."""
    aim = _aim(stage, cell)
    async with asyncio.TaskGroup() as both:
        both.create_task(cell.play.act(stage, aim))
        try:
            async with asyncio.timeout(_STRIKE_S):
                await aim.struck()
        except TimeoutError:
            raise NeverStruckError from None
        struck_at = time.time()
        await stage.box.recover()
        if cell.action is Action.KILL:
            await stage.first.gone()
        if cell.action in (Action.KILL, Action.DEPLOY):
            await stage.start(dict(terms.survivor), stage.first.port)
        else:
            await stage.start(dict(terms.survivor))
    return struck_at


async def _final(stage: Stage, play: Play) -> Ledgers:
    await stage.until_final()
    if play.cancels and play.past_opening:
        await stage.until_past_opening(_WATCHED_S)
    return await stage.ledgers()


async def _once_it_goes_on(stage: Stage, play: Play) -> Ledgers:
    """The stopped one should find that there is nothing left to do."""
    stage.first.go_on()
    await stage.first.idle()
    return await _final(stage, play)


async def _evidence(stage: Stage, ledgers: Ledgers) -> str:
    rows = [{name: value for name, value in row.items() if value is not None} for row in ledgers.rows]
    seen = {"opens_at": stage.box.opens_at, "rows": rows, "gym": await stage.box.told(), "bookings": ledgers.bookings}
    return pformat(seen, width=200)


def _leaves(group: BaseExceptionGroup[Any]) -> Iterable[BaseException]:
    for exc in group.exceptions:
        if isinstance(exc, BaseExceptionGroup):
            yield from _leaves(exc)
        else:
            yield exc
