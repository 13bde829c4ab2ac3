"""The composition root: the one place that knows the concrete parts, and puts them together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit
from uuid import uuid4
from zoneinfo import ZoneInfo

import structlog
from pydantic import SecretStr
from starlette.applications import Starlette

from prebooking.adapters.aimharder.client import AimHarder
from prebooking.adapters.aimharder.resolver import Resolver
from prebooking.adapters.clock import SystemClock
from prebooking.adapters.prometheus import PrometheusMetrics
from prebooking.adapters.qstash.messages import QStashMessages, open_messages
from prebooking.adapters.qstash.webhook import Webhook
from prebooking.adapters.supabase.session_vault import SessionVault
from prebooking.adapters.supabase.store import open_store
from prebooking.adapters.tls import trusted
from prebooking.concurrency.circuit_breaker import CircuitBreakers
from prebooking.domain.notices import NotificationSender
from prebooking.domain.patience import Patience
from prebooking.domain.ports import Gyms, Limits, Messages, Store
from prebooking.domain.timing import OpeningClock
from prebooking.logs import configure_logs
from prebooking.settings import Settings, borrowed_names, read_settings, secrets_of
from prebooking.signals import on_shutdown_signal
from prebooking.usecases.background.loop import BackgroundTasks
from prebooking.usecases.background.notifications import NotificationLoop
from prebooking.usecases.background.retention import Retention
from prebooking.usecases.booking.executor import Executor
from prebooking.usecases.booking.gate import Gate
from prebooking.usecases.classes import ClassListings
from prebooking.usecases.effects import Effects
from prebooking.usecases.email_owners import EmailOwners
from prebooking.usecases.event_broadcaster import EventBroadcaster
from prebooking.usecases.guarded_gyms import GuardedGyms
from prebooking.usecases.publishing import PublishBackoff
from prebooking.usecases.readiness import Readiness
from prebooking.usecases.schedule import Scheduler
from prebooking.usecases.sessions.connect import SessionConnector
from prebooking.usecases.sessions.refresh import SessionRefresher
from prebooking.usecases.sessions.revive import SessionReviver
from prebooking.usecases.sessions.sign_in import SignInService
from prebooking.usecases.sessions.sign_in_again import AutomaticSignIn
from prebooking.usecases.sessions.watch import SessionWatch
from prebooking.usecases.sweep import Alarm, Sweeper
from prebooking.web.app import create_app as create_web_app
from prebooking.web.auth import Tokens, Users
from prebooking.web.console import Console
from prebooking.web.key_set import open_key_set
from prebooking.web.problems import Problem
from prebooking.web.qstash_signature import RejectionReason, SignatureVerifier
from prebooking.web.services import Services
from prebooking.web.token_checks import RefusedTokens, TokenCheck, TokenRefusedError

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outside:
    """The outside systems, behind their ports."""

    store: Store
    messages: Messages
    gyms: Gyms
    teller: NotificationSender | None = None  #: None: nobody wants to hear


#: What may stand between the service and the outside: nothing here, failpoints in the fault tests.
Around = Callable[[Outside], Outside]


def create_app(around: Around = lambda outside: outside, resolver: Resolver | None = None) -> Starlette:
    """The ASGI factory: `uvicorn --factory prebooking.main:create_app --loop asyncio`. Raises SettingsError.

    `resolver`: where the gyms' names lead to; None: to what the system's name servers say.
    """
    settings = read_settings(Settings)
    configure_logs(settings.log_level, secrets_of(settings))
    for name, variable in borrowed_names(Settings).items():
        _log.info("setting_from_platform", name=name, **{"from": variable})
    public_url = urlsplit(settings.public_url)
    return create_web_app(
        partial(open_replica, settings, around, resolver),
        settings.frontend_origins,
        https=public_url.scheme == "https",
        prefix=public_url.path,
        console=console_of(settings),
    )


def console_of(settings: Settings) -> Console | None:
    """What the page at / is told; None where there is none."""
    if not settings.console or settings.supabase_publishable_key is None:
        return None
    return Console(
        supabase_url=settings.supabase_url,
        publishable_key=settings.supabase_publishable_key,
        remembers=settings.encrypts_sessions,
        members=settings.demo_members,
    )


@asynccontextmanager
async def open_replica(
    settings: Settings, around: Around = lambda outside: outside, resolver: Resolver | None = None
) -> AsyncIterator[Services]:
    """The parts, and the sweep and the chores of a living replica beside them."""
    async with open_services(settings, around, resolver) as parts:
        loops = [
            asyncio.create_task(loop()) for loop in (parts.sweeper.run, parts.chores.run) if settings.sweep_seconds
        ]

        def stop() -> None:
            parts.executor.stop()
            parts.effects.stop()
            parts.changes.stop()
            for running in loops:
                running.cancel()

        try:
            with on_shutdown_signal(stop):
                yield parts
        finally:
            for running in loops:
                running.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await parts.sweeper.close()


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
        stack.push_async_callback(effects.drain)  # what was sent is stored before the store is closed
        sessions = SessionRefresher(store, gyms, clock, effects)
        revival = SessionReviver(sessions, AutomaticSignIn(store, gyms, clock, effects), store, clock)
        gate = Gate(clock, opening_clock.now)
        meter = PrometheusMetrics(refusals=RejectionReason, tokens=TokenCheck)
        orders = PublishBackoff(clock)
        chores = BackgroundTasks(
            NotificationLoop(store, outside.teller, orders, gate, clock, meter),
            SessionWatch(store, gyms, revival, gate, clock, meter),
            Retention(store, gate, clock, days=settings.retention_days),
        )
        executor = Executor(
            store,
            gyms,
            gate,
            clock,
            opening_clock,
            lead_s=settings.lead_seconds,
            max_duration_s=settings.max_duration_seconds,
            max_attempts=settings.max_attempts,
            patience=Patience(
                too_early_minutes=settings.too_early_minutes, book_until_minutes=settings.book_until_minutes_before
            ),
            legacy_box=settings.legacy_box,
            ended=chores.ring,
            meter=meter,
            revival=revival,
        )
        alarm = Alarm(settings.lead_seconds, clock.monotonic)
        scheduler = Scheduler(
            store,
            messages,
            orders,
            clock,
            address=settings.public_url,
            max_delay_s=settings.qstash_max_delay_seconds,
            limits=Limits(active=settings.max_active_prebookings, per_minute=settings.max_creates_per_minute),
            for_now=settings.schedule_for_now,
            wake=alarm.ring_for,
        )
        sweeper = Sweeper(
            store,
            executor,
            scheduler,
            orders,
            clock,
            opening_clock,
            alarm,
            meter,
            address=settings.public_url,
            lead_s=settings.lead_seconds,
            max_delay_s=settings.qstash_max_delay_seconds,
            per_minute=settings.max_creates_per_minute,
            every_s=settings.sweep_seconds,
        )
        keys = await stack.enter_async_context(
            open_key_set(f"{settings.auth_url}/.well-known/jwks.json", trusted(), clock.monotonic)
        )
        yield Services(
            clock=clock,
            store=store,
            scheduler=scheduler,
            executor=executor,
            effects=effects,
            connections=SessionConnector(
                store, outside.gyms, sessions, max_per_minute=settings.max_session_checks_per_minute
            ),
            sign_ins=SignInService(store, outside.gyms, clock, effects, remembers=settings.encrypts_sessions),
            timetables=ClassListings(store, outside.gyms, sessions, clock),
            changes=EventBroadcaster(store, gate, clock),
            readiness=Readiness(store),
            sweeper=sweeper,
            chores=chores,
            users=Users(
                issuer=settings.issuer,
                keys=keys,
                jwt_secret=_plain(settings.supabase_jwt_secret),
                service_key=_plain(settings.service_api_key),
                owners=EmailOwners(store),
                refused=RefusedTokens(meter.token_refused, clock.monotonic),
            ),
            deliveries=SignatureVerifier(
                settings.public_url,
                settings.signing_keys,
            ),
            meter=meter,
            max_duration_s=settings.max_duration_seconds,
            metrics_key=_plain(settings.metrics_key or settings.service_api_key),
        )


async def token_refusal(settings: Settings, token: str) -> str | None:
    """Why a replica with these settings would not believe this access token, for an operator; None: it would.

    It asks the project's key host alone; whose the e-mail is is not asked.
    """
    published = f"{settings.auth_url}/.well-known/jwks.json"
    async with open_key_set(published, trusted()) as keys:
        tokens = Tokens(settings.issuer, keys, _plain(settings.supabase_jwt_secret))
        try:
            await tokens.read(token)
        except TokenRefusedError as exc:
            return f"{exc.check}: {exc}"
        except Problem:
            return f"key: the published keys can't be fetched from {published}"
    return None


@asynccontextmanager
async def _open_outside(settings: Settings, opening_clock: OpeningClock, resolver: Resolver) -> AsyncIterator[Outside]:
    """One client of each a replica."""
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
        yield Outside(store, messages, gyms, _teller(settings, messages))


def _teller(settings: Settings, messages: QStashMessages) -> NotificationSender | None:
    url, secret = settings.notify_webhook_url, settings.notify_webhook_secret
    if url is None or secret is None:
        return None
    zone = ZoneInfo(settings.notify_timezone)
    return Webhook(messages, url.get_secret_value(), secret.get_secret_value(), settings.notify_language, zone)


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
