"""Scenarios under a gym that is slow, silent or late, and under looks after sessions: each leads to its points once."""

from tests.reliability.faults.environment import Environment
from tests.reliability.faults.fault_injection import FaultInjection
from tests.reliability.faults.gym import BOOK, LISTING, REFRESH, WHOAMI
from tests.reliability.faults.scenarios import execute, refresh

#: AimHarder may take so long to say what it has rotated at once. In an execution that is after the first one has been
#: released, and before the next one begins: a fault after its begin would leave no session to ask the listing with.
_ROTATES_S = 5.4
_SAVED_S = 20.0
_LATE_S = 8.0
_NAMED_S = 1.2
_IDLE_S = 0.3


async def execute_unsure(environment: Environment, fault: FaultInjection) -> None:
    """The account host is silent: nobody can say whether the session is alive, and the box decides."""
    for path in (WHOAMI, REFRESH):
        await environment.box.inject_fault("hang", path, handled=False)
    await execute(environment, fault)


async def execute_early(environment: Environment, fault: FaultInjection) -> None:
    """The gym opens later than it said."""
    await environment.box.inject_fault("clock", BOOK, seconds=-_LATE_S, lasting=True)
    await execute(environment, fault)


async def execute_late_at_names(environment: Environment, fault: FaultInjection) -> None:
    """The name servers take their time."""
    environment.box.zone.after_s = _NAMED_S
    await execute(environment, fault)


async def execute_without_names(environment: Environment, fault: FaultInjection) -> None:
    """No name server says where the gym is, until the fault is triggered: the row is released."""
    environment.box.zone.silent = True
    await execute(environment, fault)


async def execute_idle(environment: Environment, fault: FaultInjection) -> None:
    """The gym hangs up on who says nothing for longer than a moment, as the held request does."""
    await environment.box.inject_fault("idle_timeout_s", LISTING, seconds=_IDLE_S, lasting=True)
    await execute(environment, fault)


async def refresh_slowly(environment: Environment, fault: FaultInjection) -> None:
    await environment.box.inject_fault("slow", REFRESH, seconds=_ROTATES_S, lasting=True)
    await refresh(environment, fault)


async def look_after(environment: Environment, fault: FaultInjection) -> None:
    """The session is old, and its class opens in minutes: it is rotated. Its member then cancels the class."""
    await environment.age_session()
    await environment.box.inject_fault("slow", REFRESH, seconds=_ROTATES_S, lasting=True)
    prebooking_id = await environment.prebook()
    await fault.arm()
    await fault.triggered()
    await environment.sessions_lost(within_s=_SAVED_S)
    await environment.cancel(prebooking_id)
