"""Scenarios of the sign-in: by its member, over an earlier session, and by the service once the session has died."""

from tests.reliability.faults.environment import Environment
from tests.reliability.faults.fault_injection import FaultInjection
from tests.reliability.faults.gym import LOGIN


async def sign_in(environment: Environment, fault: FaultInjection) -> None:
    """Over an earlier session, which is good until then: either of them books."""
    await fault.arm_twice()
    await _sign_in(environment)
    await environment.prebook()


async def sign_in_again(environment: Environment, fault: FaultInjection) -> None:
    await _remember(environment)
    await fault.arm_twice()
    await environment.prebook()


async def sign_in_again_late(environment: Environment, fault: FaultInjection) -> None:
    """The login is blocked at first."""
    await _remember(environment)
    await environment.box.inject_fault("status", LOGIN, status=403, times=2 if fault.again else 1, lasting=True)
    await fault.arm_twice()
    await environment.prebook()


async def _sign_in(environment: Environment) -> None:
    account = {"email": environment.member.email, "password": environment.member.password}
    signed_in = (await environment.ask("POST", "/session", account)).json()
    assert (signed_in["alive"], signed_in["account_email"]) == (True, environment.member.email)


async def _remember(environment: Environment) -> None:
    """The member has signed in, and the session has died. The password is as it is, so that the rest can be checked."""
    await _sign_in(environment)
    await environment.database.execute("update prebooking.accounts set password = $1", environment.member.password)
    await environment.box.end_sessions()
