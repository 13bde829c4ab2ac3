"""Three or more replicas behind one port, of which one dies every two seconds and is replaced at once."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from random import Random

from tests.reliability.faults.any_version import AnyVersion
from tests.reliability.faults.failpoints import POINTS, Action, Armed, Rotating
from tests.reliability.faults.replica import Replica

_EVERY_S = (1.2, 2.8)
_ARMED = 4  # points at once, since most are seldom passed
_REACHED_WITHIN_S = 1.5
_ROTATES_WITHIN_S = 5.0  # seldom, so that it is waited for
_STOPPED_S = (21.0, 25.0)  # past every lease
_AFTERWARDS_S = 4.0  # what a process does that was believed dead
_LOOK_S = 0.02
_DISARMED_WITHIN_S = 5.0
_PRELOADED = ["prebooking.main", "tests.reliability.faults.replica", "tests.reliability.faults.campaign"]
_GRACE_S = 25.0  # what a replica that leaves may take
#: Where a deploy comes in the middle of a session's rotation.
_ROTATING = tuple(point for point in POINTS if point.startswith(("gym.refresh", "store.save_session")))
#: Between the last look at the clock and the write: a process frozen there is what only the same-hour rule can save.
_UNGUARDED = "held.fire:before"
_HOW = {Action.KILL: "kill", Action.STOP: "stop", Action.DEPLOY: "deploy"}


@dataclass(slots=True)
class Death:
    """`point`: where it was triggered; None if none was reached in time."""

    how: str  #: kill, stop, deploy, or crash, which is nobody's doing
    at: float  #: epoch seconds
    point: str | None = None
    until: float = math.inf  #: of a stop: when it went on


def _death(how: str, reached: Armed | None) -> Death:
    """At the point that was reached, or here and now."""
    return Death(how, reached.at, reached.point) if reached else Death(how, time.time())


@dataclass(frozen=True, slots=True)
class Rotation:
    """A replica's request to rotate a token, and how that replica died, if it did."""

    asked: Rotating
    death: Death | None


class Fleet:
    """`beside`: the `src` folder of another version, which half of the replicas are of."""

    def __init__(
        self, port: int, environment: Mapping[str, str], size: int, rng: Random, beside: str | None = None
    ) -> None:
        self._beside = beside
        self._port = port
        self._environment = dict(environment)
        self._size = size
        self._rng = rng
        self._serving: list[Replica | AnyVersion] = []
        self._all: list[Replica | AnyVersion] = []
        self._death_of: dict[int, Death] = {}
        self.deaths: list[Death] = []
        self.slowest_deploy_s = 0.0

    async def start(self) -> None:
        # Replicas are forked from a process that has read all that this command reads.
        get_context("forkserver").set_forkserver_preload(_PRELOADED)
        await asyncio.gather(*(self._start_one() for _ in range(self._size)))

    async def disrupt(self) -> None:
        """Returns when it is cancelled; see `restore`."""
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(self._rng.uniform(*_EVERY_S))
                for crashed in [replica for replica in self._serving if not replica.alive]:
                    self._serving.remove(crashed)
                    self._died(crashed, Death("crash", time.time()))
                    group.create_task(self._start_one())
                if len(self._serving) > 1:
                    victim = self._serving.pop(self._rng.randrange(len(self._serving)))
                    how = self._rng.choices((self._kill, self._stop, self._deploy), (82, 3, 15))[0]
                    group.create_task(how(victim))

    async def restore(self) -> None:
        """Lets leaving replicas leave, and starts new ones: as many live as at first.

        Who was to be killed or stopped when the disruption was cancelled may have been already, and is written down.
        """
        leaving = [replica for replica in self._all if replica not in self._serving and replica.alive]
        for replica in leaving:
            replica.resume()
        await asyncio.gather(*(self._disarm(replica) for replica in leaving))
        for replica in leaving:
            replica.resume()  # it may have come to its point before it was disarmed
            replica.terminate()
        went_on = time.time()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                for replica in leaving:
                    await replica.gone()
        for replica in leaving:
            if replica.alive:
                replica.kill()
                self._died(replica, Death("kill", time.time()))
                await replica.gone()
        self._write_down(went_on)
        self._serving = [replica for replica in self._serving if replica.alive]
        while len(self._serving) < self._size:
            await self._start_one()

    def _write_down(self, went_on: float) -> None:
        """What nobody was there to see."""
        for replica in self._all:
            triggered = replica.triggered_faults()
            if triggered and id(replica) not in self._death_of:
                self._died(replica, Death(_HOW[triggered[0].action], triggered[0].at, triggered[0].point))
            elif replica in self._serving and not replica.alive:
                self._died(replica, Death("crash", time.time()))
        for death in self.deaths:
            if death.how == "stop":
                death.until = min(death.until, went_on)

    async def close(self) -> None:
        for replica in self._all:
            replica.kill()
            await replica.gone()

    def rotations(self) -> list[Rotation]:
        """All that were asked for, by any replica."""
        return [
            Rotation(asked, self._death_of.get(id(replica))) for replica in self._all for asked in replica.rotations()
        ]

    def by_point(self) -> Counter[str]:
        return Counter(death.point or "anywhere" for death in self.deaths if death.how == "kill")

    def count(self, how: str) -> int:
        return sum(death.how == how for death in self.deaths)

    async def _kill(self, victim: Replica | AnyVersion) -> None:
        reached = await self._reached(victim, self._rng.sample(POINTS, _ARMED), Action.KILL)
        self._died(victim, _death("kill", reached))
        victim.kill()
        await self._start_one()
        await victim.gone()

    async def _stop(self, victim: Replica | AnyVersion) -> None:
        guarded = [point for point in POINTS if point != _UNGUARDED]
        reached = await self._reached(victim, [self._rng.choice(guarded)], Action.STOP)
        if reached is None:  # else it would stop itself once more when it goes on, and nobody would wake it
            await self._disarm(victim)
        victim.stop()
        stopped_for_s, now = self._rng.uniform(*_STOPPED_S), time.time()
        self._died(victim, stop := _death("stop", reached))
        await self._start_one()
        await asyncio.sleep(now + stopped_for_s - time.time())
        victim.resume()
        stop.until = time.time()  # on a busy machine the new one may have taken longer to start
        await asyncio.sleep(_AFTERWARDS_S)
        victim.terminate()
        await victim.gone()

    async def _deploy(self, victim: Replica | AnyVersion) -> None:
        """The new one serves before the old one is asked to leave; half of them in the middle of a rotation."""
        await self._start_one()
        wanted = _ROTATING if self._rng.random() < 0.5 else ()
        reached = await self._reached(victim, wanted, Action.DEPLOY, _ROTATES_WITHIN_S) if wanted else None
        self._died(victim, deploy := _death("deploy", reached))
        victim.terminate()
        await victim.gone()
        self.slowest_deploy_s = max(self.slowest_deploy_s, time.time() - deploy.at)

    @staticmethod
    async def _disarm(replica: Replica | AnyVersion) -> None:
        with suppress(TimeoutError, OSError, RuntimeError):
            async with asyncio.timeout(_DISARMED_WITHIN_S):
                await replica.disarm()

    def _died(self, victim: Replica | AnyVersion, death: Death) -> None:
        self.deaths.append(death)
        self._death_of[id(victim)] = death

    async def _reached(
        self, victim: Replica | AnyVersion, points: Sequence[str], action: Action, within_s: float = _REACHED_WITHIN_S
    ) -> Armed | None:
        """Arms the points; returns the first that is triggered, None if none is reached in time."""
        try:
            async with asyncio.timeout(within_s):
                for point in points:
                    await victim.arm(point, action, self._rng.randint(1, 3))
                while victim.alive and not victim.triggered_faults():
                    await asyncio.sleep(_LOOK_S)
        except (TimeoutError, OSError, RuntimeError):  # or an earlier one was triggered while the next was armed
            pass
        return next(iter(victim.triggered_faults()), None)

    async def _start_one(self) -> None:
        replica: Replica | AnyVersion
        if self._beside and len(self._all) % 2:
            replica = AnyVersion(self._port, self._environment, self._beside)
        else:
            replica = Replica(self._port, self._environment)
        self._all.append(replica)
        await replica.ready()
        self._serving.append(replica)
