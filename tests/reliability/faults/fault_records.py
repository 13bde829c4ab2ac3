"""Plays under a gym that is slow, silent or late, and under looks after sessions: each leads to its points once."""

from tests.reliability.faults.aim import Aim
from tests.reliability.faults.environment import Stage
from tests.reliability.faults.gym import BOOK, LISTING, REFRESH, WHOAMI
from tests.reliability.faults.scenarios import execute, refresh

#: AimHarder may take so long to say what it has rotated at once. In an execution that is after the first one has been
#: released, and before the next one begins: struck after its begin, with the session gone, nobody could tell absent.
_ROTATES_S = 5.4
_SAVED_S = 20.0
_LATE_S = 8.0
_NAMED_S = 1.2
_IDLE_S = 0.3


async def execute_unsure(stage: Stage, aim: Aim) -> None:
    """The account host is silent: nobody can say whether the session is alive, and the box decides."""
    for path in (WHOAMI, REFRESH):
        await stage.box.spoil("hang", path, handled=False)
    await execute(stage, aim)


async def execute_early(stage: Stage, aim: Aim) -> None:
    """The gym opens later than it said."""
    await stage.box.spoil("clock", BOOK, seconds=-_LATE_S, lasting=True)
    await execute(stage, aim)


async def execute_late_at_names(stage: Stage, aim: Aim) -> None:
    """The name servers take their time."""
    stage.box.zone.after_s = _NAMED_S
    await execute(stage, aim)


async def execute_without_names(stage: Stage, aim: Aim) -> None:
    """No name server says where the gym is, until the strike: the row is released."""
    stage.box.zone.silent = True
    await execute(stage, aim)


async def execute_idle(stage: Stage, aim: Aim) -> None:
    """The gym hangs up on who says nothing for longer than a moment, as the held request does."""
    await stage.box.spoil("idle_timeout_s", LISTING, seconds=_IDLE_S, lasting=True)
    await execute(stage, aim)


async def refresh_slowly(stage: Stage, aim: Aim) -> None:
    await stage.box.spoil("slow", REFRESH, seconds=_ROTATES_S, lasting=True)
    await refresh(stage, aim)


async def look_after(stage: Stage, aim: Aim) -> None:
    """The session is old, and its class opens in minutes: it is rotated. Its member then cancels the class."""
    await stage.age_session()
    await stage.box.spoil("slow", REFRESH, seconds=_ROTATES_S, lasting=True)
    prebooking_id = await stage.prebook()
    await aim.take()
    await aim.struck()
    await stage.sessions_lost(within_s=_SAVED_S)
    await stage.cancel(prebooking_id)
