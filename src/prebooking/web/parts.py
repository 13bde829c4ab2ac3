"""What the routes work with; the composition root puts it together, opening.py hands it out."""

from dataclasses import dataclass

from starlette.requests import Request

from prebooking.domain.metering import Meter
from prebooking.domain.ports import Clock, Store
from prebooking.usecases.change_feed import ChangeFeed
from prebooking.usecases.chores import Chores
from prebooking.usecases.connection import Connections
from prebooking.usecases.effects import Effects
from prebooking.usecases.execute import Executor
from prebooking.usecases.readiness import Readiness
from prebooking.usecases.schedule import Scheduler
from prebooking.usecases.sign_in import SignIns
from prebooking.usecases.sweep import Sweeper
from prebooking.usecases.timetables import Timetables
from prebooking.web.auth import Users
from prebooking.web.deliveries import Deliveries


@dataclass(frozen=True, slots=True)
class Parts:
    clock: Clock
    store: Store
    scheduler: Scheduler
    executor: Executor
    effects: Effects
    connections: Connections
    sign_ins: SignIns
    timetables: Timetables
    changes: ChangeFeed
    readiness: Readiness
    sweeper: Sweeper
    chores: Chores
    users: Users
    deliveries: Deliveries
    meter: Meter
    max_duration_s: float
    metrics_key: str | None  #: what reads the figures sends it; None: anybody may


def parts_of(request: Request) -> Parts:
    parts: Parts = request.state.parts
    return parts
