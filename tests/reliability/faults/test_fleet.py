"""What a fleet knows of its replicas once a disruption was cancelled in the middle of what it did."""

import asyncio
from random import Random
from typing import cast

import pytest
from tests.reliability.faults.failpoints import Action, Armed
from tests.reliability.faults.fleet import Death, Fleet
from tests.reliability.faults.replica import Replica


class FakeReplica:
    """A replica that does as it is told. `triggered`: what it came to before the disruption could see it."""

    def __init__(self, *triggered: Armed, alive: bool = True) -> None:
        self._triggered = list(triggered)
        self.alive = alive
        self.told: list[str] = []

    def triggered_faults(self) -> list[Armed]:
        return self._triggered

    async def disarm(self) -> None:
        self.told.append("disarm")

    def resume(self) -> None:
        self.told.append("resume")

    def terminate(self) -> None:
        self.told.append("terminate")
        self.alive = False

    async def gone(self) -> None:
        await asyncio.sleep(0)


async def restored(*replicas: FakeReplica, serving: bool = False) -> Fleet:
    fleet = Fleet(0, {}, 0, Random(1))
    fleet._all = [cast("Replica", replica) for replica in replicas]
    fleet._serving = list(fleet._all) if serving else []
    await fleet.restore()
    return fleet


@pytest.mark.parametrize(("action", "how"), [(Action.KILL, "kill"), (Action.STOP, "stop"), (Action.DEPLOY, "deploy")])
async def test_a_fault_that_was_triggered_as_the_disruption_was_cancelled_is_written_down(
    action: Action, how: str
) -> None:
    fleet = await restored(FakeReplica(Armed("store.claim:after", action, at=5.0), alive=action is not Action.KILL))
    [death] = fleet.deaths
    assert (death.how, death.at, death.point) == (how, 5.0, "store.claim:after")


async def test_a_replica_that_was_stopped_is_disarmed_before_it_is_asked_to_leave() -> None:
    stopped = FakeReplica()
    await restored(stopped)
    assert stopped.told == ["resume", "disarm", "resume", "terminate"]


async def test_a_stop_ends_when_the_fleet_is_restored() -> None:
    fleet = Fleet(0, {}, 0, Random(1))
    stopped = FakeReplica()
    fleet._all = [cast("Replica", stopped)]
    fleet._died(cast("Replica", stopped), death := Death("stop", 5.0))
    await fleet.restore()
    assert death.until < float("inf")
    assert fleet.deaths == [death]


async def test_a_replica_that_has_ended_by_itself_is_a_crash_and_serves_no_more() -> None:
    fleet = await restored(FakeReplica(alive=False), serving=True)
    assert [death.how for death in fleet.deaths] == ["crash"]
    assert fleet._serving == []
