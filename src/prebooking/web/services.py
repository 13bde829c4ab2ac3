"""The services that the routes call. The composition root makes them, startup.py attaches them to each request."""

from dataclasses import dataclass

from starlette.requests import Request

from prebooking.domain.ports import Clock, Metrics, Store
from prebooking.usecases.background.loop import BackgroundTasks
from prebooking.usecases.booking.executor import Executor
from prebooking.usecases.calendars import Calendars
from prebooking.usecases.classes import ClassListings
from prebooking.usecases.effects import Effects
from prebooking.usecases.event_broadcaster import EventBroadcaster
from prebooking.usecases.giving_back import GiveBack
from prebooking.usecases.readiness import Readiness
from prebooking.usecases.schedule import Scheduler
from prebooking.usecases.series import WeeklySeries
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
    give_back: GiveBack
    effects: Effects
    session_connector: SessionConnector
    sign_ins: SignInService
    class_listings: ClassListings
    series: WeeklySeries
    calendars: Calendars
    events: EventBroadcaster
    readiness: Readiness
    sweeper: Sweeper
    background_tasks: BackgroundTasks
    users: Users
    signature_verifier: SignatureVerifier
    metrics: Metrics
    max_duration_s: float
    metrics_key: str | None  #: the bearer token of GET /metrics; None: it is public


def services_of(request: Request) -> Services:
    services: Services = request.state.services
    return services
