"""The composition root: the only module that knows the concrete adapters. It injects them into the use cases."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from prebooking.adapters.aimharder.client import AimHarder
from prebooking.adapters.aimharder.resolver import Resolver
from prebooking.adapters.clock import SystemClock
from prebooking.adapters.key_set import open_key_set
from prebooking.adapters.prometheus import PrometheusMetrics
from prebooking.adapters.qstash.messages import QStashMessages, open_messages
from prebooking.adapters.qstash.notice_webhook import NoticeWebhook
from prebooking.adapters.supabase.session_vault import SessionVault
from prebooking.adapters.supabase.store import open_store
from prebooking.adapters.tls import trusted
from prebooking.concurrency.circuit_breaker import CircuitBreakers
from prebooking.domain.booking_limits import BookingLimits
from prebooking.domain.opening_clock import OpeningClock
from prebooking.domain.ports import CalendarFormat, Gyms, Messages, NotificationSender, Store
from prebooking.domain.transitions import Limits
from prebooking.settings import Settings
from prebooking.usecases.background.loop import BackgroundTasks
from prebooking.usecases.background.notifications import NoticePublisher
from prebooking.usecases.background.retention import Retention
from prebooking.usecases.booking.crowds import CrowdWatch, Pace
from prebooking.usecases.booking.executor import Executor
from prebooking.usecases.booking.gate import Gate
from prebooking.usecases.booking.pipeline import Pipeline
from prebooking.usecases.booking.record import ResultRecorder
from prebooking.usecases.calendars import Calendars
from prebooking.usecases.classes import ClassListings
from prebooking.usecases.effects import Effects
from prebooking.usecases.email_owners import EmailOwners
from prebooking.usecases.event_broadcaster import EventBroadcaster
from prebooking.usecases.giving_back import GiveBack
from prebooking.usecases.guarded_gyms import GuardedGyms
from prebooking.usecases.publishing import PublishCircuitBreaker
from prebooking.usecases.readiness import Readiness
from prebooking.usecases.schedule import Scheduler
from prebooking.usecases.series import WeeklySeries
from prebooking.usecases.sessions.connect import SessionConnector
from prebooking.usecases.sessions.refresh import SessionRefresher
from prebooking.usecases.sessions.revive import SessionReviver
from prebooking.usecases.sessions.sign_in import SignInService
from prebooking.usecases.sessions.sign_in_again import AutomaticSignIn
from prebooking.usecases.sessions.watch import SessionWatch
from prebooking.usecases.sweep import Sweeper, SweepTimer
from prebooking.web.auth import ALGORITHMS, Users
from prebooking.web.qstash_signature import RejectionReason, SignatureVerifier
from prebooking.web.services import Services
from prebooking.web.token_checks import RefusedTokens, TokenCheck


@dataclass(frozen=True, slots=True)
class Outside:
    """The ports to the outside systems."""

    store: Store
    messages: Messages
    gyms: Gyms
    notification_sender: NotificationSender | None = None  #: None: no NOTIFY_WEBHOOK_URL is set


#: Wraps the outside systems; the fault tests insert failpoints.
Around = Callable[[Outside], Outside]


@asynccontextmanager
async def open_services(
    settings: Settings, around: Around = lambda outside: outside, resolver: Resolver | None = None
) -> AsyncIterator[Services]:
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        opening_clock = OpeningClock(clock)
        outside = around(
            await stack.enter_async_context(_open_outside(settings, opening_clock, resolver or Resolver()))
        )
        store, messages = outside.store, outside.messages
        gyms = GuardedGyms(outside.gyms, CircuitBreakers(clock))
        effects = Effects(clock)
        stack.push_async_callback(effects.drain)  # the results of sent requests are stored before the store is closed
        sessions = SessionRefresher(store, gyms, clock, effects)
        reviver = SessionReviver(sessions, AutomaticSignIn(store, gyms, clock, effects), store, clock)
        gate = Gate(opening_clock)
        metrics = PrometheusMetrics(refusals=RejectionReason, tokens=TokenCheck)
        breaker = PublishCircuitBreaker(clock)
        give_back = GiveBack(store, gyms, effects, reviver, clock, legacy_box=settings.legacy_box)
        timer = SweepTimer(settings.lead_seconds, clock.monotonic)
        pace = Pace()
        crowds = CrowdWatch(pace, clock, metrics, lead_s=settings.lead_seconds)
        scheduler = Scheduler(
            store,
            messages,
            breaker,
            clock,
            address=settings.public_url,
            max_delay_s=settings.qstash_max_delay_seconds,
            limits=Limits(active=settings.max_active_prebookings, per_minute=settings.max_creates_per_minute),
            for_now=settings.schedule_for_now,
            on_scheduled=(timer.wake_for, crowds.scheduled),
        )
        series = WeeklySeries(store, scheduler, gate, clock, max_active=settings.max_active_prebookings)
        background_tasks = BackgroundTasks(
            NoticePublisher(store, outside.notification_sender, breaker, gate, clock, metrics),
            SessionWatch(store, gyms, reviver, gate, clock, metrics),
            Retention(store, gate, clock, days=settings.retention_days),
            give_back,
            series,
        )
        booking_limits = BookingLimits(
            too_early_minutes=settings.too_early_minutes, book_until_minutes=settings.book_until_minutes_before
        )
        recorder = ResultRecorder(
            store,
            clock,
            metrics,
            lead_s=settings.lead_seconds,
            max_attempts=settings.max_attempts,
            limits=booking_limits,
        )
        pipeline = Pipeline(
            store,
            gyms,
            gate,
            clock,
            opening_clock,
            recorder,
            reviver,
            pace,
            max_attempts=settings.max_attempts,
            limits=booking_limits,
            legacy_box=settings.legacy_box,
        )
        executor = Executor(
            pipeline, clock, metrics, max_duration_s=settings.max_duration_seconds, on_ended=background_tasks.run_soon
        )
        sweeper = Sweeper(
            store,
            executor,
            scheduler,
            breaker,
            clock,
            opening_clock,
            timer,
            metrics,
            address=settings.public_url,
            lead_s=settings.lead_seconds,
            max_delay_s=settings.qstash_max_delay_seconds,
            per_minute=settings.max_creates_per_minute,
            every_s=settings.sweep_seconds,
        )
        key_set = await stack.enter_async_context(
            open_key_set(f"{settings.auth_url}/.well-known/jwks.json", trusted(), ALGORITHMS, clock.monotonic)
        )
        yield Services(
            clock=clock,
            store=store,
            scheduler=scheduler,
            executor=executor,
            give_back=give_back,
            effects=effects,
            session_connector=SessionConnector(
                store, outside.gyms, sessions, max_per_minute=settings.max_session_checks_per_minute
            ),
            sign_ins=SignInService(store, outside.gyms, clock, effects, remembers=settings.encrypts_sessions),
            class_listings=ClassListings(store, outside.gyms, sessions, clock),
            series=series,
            calendars=Calendars(store, _calendar_format, gate, clock, public_url=settings.public_url),
            events=EventBroadcaster(store, gate, clock),
            readiness=Readiness(store),
            sweeper=sweeper,
            background_tasks=background_tasks,
            users=Users(
                issuer=settings.issuer,
                keys=key_set,
                jwt_secret=_plain(settings.supabase_jwt_secret),
                service_key=_plain(settings.service_api_key),
                owners=EmailOwners(store),
                refused=RefusedTokens(metrics.count_refused_token, clock.monotonic),
            ),
            signature_verifier=SignatureVerifier(
                settings.public_url,
                settings.signing_keys,
            ),
            metrics=metrics,
            max_duration_s=settings.max_duration_seconds,
            metrics_key=_plain(settings.metrics_key or settings.service_api_key),
        )


@asynccontextmanager
async def _open_outside(settings: Settings, opening_clock: OpeningClock, resolver: Resolver) -> AsyncIterator[Outside]:
    """Opens one client of each outside system."""
    async with (
        aclosing(resolver),
        open_store(
            settings.supabase_url,
            settings.supabase_secret_key.get_secret_value(),
            str(uuid4()),
            SessionVault(
                settings.session_keys,
                sealing=settings.encrypts_sessions,
                sealed_only=settings.takes_sealed_sessions_alone,
            ),
        ) as store,
        open_messages(
            settings.qstash_url,
            settings.qstash_token.get_secret_value(),
            public_url=settings.public_url,
            forward=settings.forward_headers,
            lead_s=settings.lead_seconds,
            max_duration_s=settings.max_duration_seconds,
        ) as messages,
    ):
        gyms = AimHarder(
            settings.aimharder_box_url,
            settings.aimharder_account_url,
            settings.aimharder_proxy,
            opening_clock.now,
            resolver,
            settings.aimharder_login_url,
        )
        yield Outside(store, messages, gyms, _notification_sender(settings, messages))


def _notification_sender(settings: Settings, messages: QStashMessages) -> NotificationSender | None:
    url, secret = settings.notify_webhook_url, settings.notify_webhook_secret
    if url is None or secret is None:
        return None
    zone = ZoneInfo(settings.notify_timezone)
    return NoticeWebhook(messages, url.get_secret_value(), secret.get_secret_value(), settings.notify_language, zone)


def _calendar_format() -> CalendarFormat:
    # Imported when the first calendar is read: icalendar takes a tenth of the start, and 3 MiB.
    from prebooking.adapters.icalendar_file import ICalendarFile  # noqa: PLC0415

    return ICalendarFile()


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
