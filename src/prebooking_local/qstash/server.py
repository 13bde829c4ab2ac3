"""Puts the parts together and serves them."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypedDict, Unpack

from starlette.types import ASGIApp

from prebooking_local.qstash.api import api
from prebooking_local.qstash.broker import Broker
from prebooking_local.qstash.clock import Clock, SystemClock
from prebooking_local.qstash.control_routes import ControlRoutes
from prebooking_local.qstash.delivery import Deliverer
from prebooking_local.qstash.dlq_routes import DlqRoutes
from prebooking_local.qstash.faults import Faults
from prebooking_local.qstash.faulty_api import FaultyApi
from prebooking_local.qstash.message_routes import MessageRoutes
from prebooking_local.qstash.quota import Quota
from prebooking_local.qstash.schedule_routes import ScheduleRoutes
from prebooking_local.qstash.schedules import Schedules
from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN, KeyRing, Signer
from prebooking_local.serving import serve_asgi

_LOOPBACK = "127.0.0.1"  # and nothing else, because anyone may know the token
_ENVIRONMENT_NAMES = ("ENVIRONMENT", "APP_ENV", "NODE_ENV", "VERCEL_ENV")


class ProductionError(RuntimeError):
    """This server's token is public: it has no place in production."""


class Settings(TypedDict, total=False):
    parallelism: int
    quota: Quota
    backoff_speed: float
    clock: Clock


@dataclass(frozen=True)
class QStash:
    """A running broker and the application to reach it."""

    app: ASGIApp
    token: str
    keys: KeyRing
    faults: Faults
    broker: Broker


@dataclass(frozen=True)
class QStashServer:
    url: str
    qstash: QStash


@asynccontextmanager
async def qstash_server(port: int = 0, **settings: Unpack[Settings]) -> AsyncIterator[QStashServer]:
    async with (
        qstash_app(**settings) as qstash,
        serve_asgi(qstash.app, host=_LOOPBACK, port=port) as url,
    ):
        yield QStashServer(url, qstash)


@asynccontextmanager
async def qstash_app(
    *,
    parallelism: int = 100,
    quota: Quota | None = None,
    backoff_speed: float = 1.0,
    clock: Clock | None = None,
) -> AsyncIterator[QStash]:
    """Returns a broker and its application, without a socket."""
    refuse_production(os.environ)
    clock = clock or SystemClock()
    faults = Faults()
    keys = KeyRing(DEV_CURRENT_KEY, DEV_NEXT_KEY)
    broker = Broker(
        clock,
        faults,
        Deliverer(clock, Signer(keys, clock, faults)),
        quota=quota or Quota(),
        parallelism=parallelism,
        backoff_speed=backoff_speed,
    )
    schedules = Schedules(broker, clock)
    routes = [
        *MessageRoutes(broker, keys).routes(),
        *DlqRoutes(broker).routes(),
        *ScheduleRoutes(schedules).routes(),
        *ControlRoutes(broker, faults).routes(),
    ]
    app = FaultyApi(api(DEV_TOKEN, routes), faults, clock)
    async with broker.running(), schedules.running():
        yield QStash(app, DEV_TOKEN, keys, faults, broker)


def refuse_production(environment: Mapping[str, str]) -> None:
    for name in _ENVIRONMENT_NAMES:
        if environment.get(name, "").lower() == "production":
            raise ProductionError(f"this server is for development, but {name} says production")
