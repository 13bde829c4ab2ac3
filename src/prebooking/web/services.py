"""What the routes work with; the composition root puts it together, opening.py hands it out."""

from dataclasses import dataclass

from starlette.requests import Request

from prebooking.domain.metrics import Metrics
from prebooking.domain.ports import Clock, Store
from prebooking.usecases.background.loop import BackgroundTasks
from prebooking.usecases.booking.executor import Executor
from prebooking.usecases.classes import ClassListings
from prebooking.usecases.effects import Effects
from prebooking.usecases.event_broadcaster import EventBroadcaster
from prebooking.usecases.readiness import Readiness
from prebooking.usecases.schedule import Scheduler
from prebooking.usecases.sessions.connect import SessionConnector
from prebooking.usecases.sessions.sign_in import SignInService
from prebooking.usecases.sweep import Sweeper
from prebooking.web.auth import Users
from prebooking.web.qstash_signature import SignatureVerifier


@dataclass(frozen=True, slots=True)
class Services:
    clock: Clock
    store: Store
    scheduler: Scheduler
    executor: Executor
    effects: Effects
    connections: SessionConnector
    sign_ins: SignInService
    timetables: ClassListings
    changes: EventBroadcaster
    readiness: Readiness
    sweeper: Sweeper
    chores: BackgroundTasks
    users: Users
    deliveries: SignatureVerifier
    meter: Metrics
    max_duration_s: float
    metrics_key: str | None  #: what reads the figures sends it; None: anybody may


def parts_of(request: Request) -> Services:
    parts: Services = request.state.parts
    return parts
