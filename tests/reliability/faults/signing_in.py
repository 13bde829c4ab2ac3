"""Plays of the sign-in: by its member, over an earlier session, and again by the service once the session has died."""

from tests.reliability.faults.aim import Aim
from tests.reliability.faults.environment import Stage
from tests.reliability.faults.gym import LOGIN


async def sign_in(stage: Stage, aim: Aim) -> None:
    """Over an earlier session, which is good until then: either of them books."""
    await aim.take_twice()
    await _sign_in(stage)
    await stage.prebook()


async def sign_in_again(stage: Stage, aim: Aim) -> None:
    await _remember(stage)
    await aim.take_twice()
    await stage.prebook()


async def sign_in_again_late(stage: Stage, aim: Aim) -> None:
    """The login is blocked at first."""
    await _remember(stage)
    await stage.box.spoil("status", LOGIN, status=403, times=2 if aim.again else 1, lasting=True)
    await aim.take_twice()
    await stage.prebook()


async def _sign_in(stage: Stage) -> None:
    account = {"email": stage.member.email, "password": stage.member.password}
    signed_in = (await stage.ask("POST", "/session", account)).json()
    assert (signed_in["alive"], signed_in["account_email"]) == (True, stage.member.email)


async def _remember(stage: Stage) -> None:
    """The member has signed in, and the session has died. The password is as it is, for the judge to read the rest."""
    await _sign_in(stage)
    await stage.database.execute("update prebooking.accounts set password = $1", stage.member.password)
    await stage.box.end_sessions()
