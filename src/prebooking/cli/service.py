"""Commands that run the service or its sweep: serve, sweep, schedule-sweep.

Each command imports what it needs when it runs: importing all of it takes longer than a migration.
"""

import asyncio
import gc
import socket
from math import ceil
from typing import Annotated

import typer

from prebooking.cli.common import load_settings, out
from prebooking.cli.terminal_packages import without_terminal_packages
from prebooking.settings import Settings, SettingsError, read_settings

# Of the garbage collector's generations. With Python's own, 700 objects, a crowd's requests cost a fifth more CPU.
_COLLECT_AFTER = (10_000, 10, 10)


def serve() -> None:
    """Run the service."""
    with without_terminal_packages():
        settings = read_settings(Settings)
        _require_free(settings.host, settings.port)

        import uvicorn

        from prebooking.main import create_app
        from prebooking.server.limits import LIMITS, raise_open_files

    raise_open_files()
    app = create_app()
    gc.freeze()  # what was imported stays: no collection needs to look at it
    gc.set_threshold(*_COLLECT_AFTER)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="asyncio",  # it writes at once and in order, which the gate relies on; uvloop buffers writes
        log_config=None,
        access_log=False,
        server_header=False,
        workers=1,  # otherwise uvicorn reads WEB_CONCURRENCY, which Render and Heroku set, and fails
        timeout_graceful_shutdown=ceil(settings.max_duration_seconds),  # executions that have begun are finished
        **LIMITS,
    )


def sweep() -> None:
    """Run one sweep: execute what is due, settle what is parked, schedule what has no message."""
    settings = load_settings().model_copy(
        update={"sweep_seconds": 0}
    )  # this one alone; it heeds SIGTERM as a replica does

    from prebooking.main import open_replica

    async def once() -> None:
        async with open_replica(settings) as services:
            work = await services.sweeper.sweep()
            await services.sweeper.wait_idle()
            await services.background_tasks.once()
            out().print(
                f"Found {len(work.execute)} to execute, {len(work.settle)} to settle, "
                f"{len(work.publish)} without a message."
            )

    asyncio.run(once())


def schedule_sweep(
    every: Annotated[
        int, typer.Option(min=1, max=30, metavar="MINUTES", help="2 fits QStash's free plan, 1 doesn't.")
    ] = 2,
) -> None:
    """Have QStash run the sweep every few minutes, for hosts that sleep between requests. Run again to change it."""
    settings = load_settings()

    from prebooking.composition import open_services

    async def schedule() -> str:
        async with open_services(settings) as services:
            return await services.scheduler.schedule_sweep(every)

    out().print(
        f"QStash calls {settings.public_url}/qstash/sweep every {every} min (schedule {asyncio.run(schedule())})."
    )


def _require_free(host: str, port: int) -> None:
    """Raises SettingsError if the address is in use. The server would report it in its log, without the settings."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(address)
    except OSError as exc:
        message = f"HOST={host} with PORT={port} can't be listened on: {exc.strerror or exc}"
        raise SettingsError(message) from exc
