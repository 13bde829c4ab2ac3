"""AimHarder on a socket: beside a test, or as a process."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prebooking_local.aimharder.accounts import Accounts
from prebooking_local.aimharder.desk import FrontDesk
from prebooking_local.aimharder.doors import Doors
from prebooking_local.aimharder.faults import Faults
from prebooking_local.aimharder.gym import Gym
from prebooking_local.aimharder.ledger import Ledger
from prebooking_local.aimharder.moments import Clock
from prebooking_local.aimharder.site import Site


@dataclass(frozen=True, slots=True)
class AimHarder:
    """The running stand-in, with its insides at hand for who shares its event loop."""

    url: str
    site: Site

    @property
    def gym(self) -> Gym:
        return self.site.gym

    @property
    def accounts(self) -> Accounts:
        return self.site.accounts

    @property
    def faults(self) -> Faults:
        return self.site.faults

    @property
    def ledger(self) -> Ledger:
        return self.site.ledger


@asynccontextmanager
async def aimharder_server(
    port: int = 0, *, host: str = "127.0.0.1", clock: Clock = time.time_ns
) -> AsyncIterator[AimHarder]:
    """Serves in the running loop. The clock stamps arrivals and rules the gyms; by default it is the wall clock."""
    site = Site(clock)
    doors = Doors(site.faults, FrontDesk(site), clock)
    await doors.open(host, port)
    try:
        yield AimHarder(doors.url, site)
    finally:
        await doors.close()
