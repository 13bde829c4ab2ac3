"""The service: the ASGI application, and a replica with its background loops. composition.py creates their services."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import structlog
from starlette.applications import Starlette

from prebooking.adapters.aimharder.resolver import Resolver
from prebooking.composition import Around, open_services
from prebooking.logs import configure_logs
from prebooking.settings import Settings, borrowed_names, read_settings, secrets_of
from prebooking.signals import on_shutdown_signal
from prebooking.web.app import create_app as create_web_app
from prebooking.web.console import Console
from prebooking.web.services import Services

_log = structlog.get_logger()


def create_app(around: Around = lambda outside: outside, resolver: Resolver | None = None) -> Starlette:
    """The ASGI factory: `uvicorn --factory prebooking.main:create_app --loop asyncio`. Raises SettingsError.

    `resolver`: resolves the gyms' host names; None: by the system's name servers.
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
    """Returns the configuration of the page at /, or None if it is switched off."""
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
    """Opens the services, and runs the sweep and the background tasks beside them."""
    async with open_services(settings, around, resolver) as services:
        loops = [
            asyncio.create_task(loop())
            for loop in (services.sweeper.run, services.background_tasks.run)
            if settings.sweep_seconds
        ]

        def stop() -> None:
            services.executor.stop()
            services.effects.stop()
            services.events.stop()
            for task in loops:
                task.cancel()

        try:
            with on_shutdown_signal(stop):
                yield services
        finally:
            for task in loops:
                task.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await services.sweeper.close()
