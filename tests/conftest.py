"""What the suites share: a real Postgres for the session, migrated once, emptied between tests."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import structlog
from hypothesis import settings
from tests.support.world import Outside, World, open_world, stand_ins

from prebooking.adapters.migrations import migrate
from prebooking_local.postgres import Postgres, postgres

# Hypothesis' deadline of 0.2 s an example judges the machine: a starved one stands still for longer.
settings.register_profile("tests", settings(), deadline=None)
settings.load_profile("tests")

# Rich draws a traceback in 50 ms and more.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

#: Real deadlines, of a second or two, run against the wall clock here. Not in what has virtual time, a clock of its own
#: or barriers (the machine, the model, the races): that is right the first time.
_IN_REAL_TIME = {
    *("browser", "contract", "local", "operating", "processes", "web"),
    *("test_aimharder_hostile.py", "test_c_ares.py", "test_effects.py", "test_resolver.py", "test_sweep_timer.py"),
    "test_timeouts.py",
}
#: What leaks once, leaks.
_NO_SECOND_TRY = {"test_cookie_isolation.py", "test_secret_canaries.py"}
#: Whole processes, a browser, explorations, made-up input, and waits for real leases, looks and time limits:
#: `make proofs`. See README.md.
_PROOFS = {
    *("browser", "fuzz", "machine", "model", "processes"),
    *("test_claim_race.py", "test_misconfigurations.py", "test_model_replay.py", "test_schemathesis.py"),
    "test_series_year.py",
    *("test_cookie_isolation.py", "test_earlier_layout.py", "test_last_hour.py", "test_stack.py"),
    *("test_execution_fairness.py", "test_execution_not_here.py", "test_postgres.py", "test_secret_canaries.py"),
    *("test_session_rotation.py", "test_session_watch.py", "test_sign_in_again.py", "test_sign_in_effect.py"),
    *("test_class_search.py", "test_class_settling.py", "test_leases.py"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the proofs; and what a machine that is starved for a second fails once: what fails thrice is wrong."""
    for item in items:
        parts = item.path.relative_to(item.config.rootpath).parts
        if _PROOFS.intersection(parts):
            item.add_marker(pytest.mark.proof)
        if _IN_REAL_TIME.intersection(parts) and not _NO_SECOND_TRY.intersection(parts):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=2))


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[Postgres]:
    async with postgres() as running:
        yield running


@pytest.fixture(scope="session")
async def migrated(server: Postgres) -> str:
    """The dsn of a migrated database that all tests share."""
    dsn = await server.create_database("prebooking_tests")
    await migrate(dsn)
    return dsn


@pytest.fixture
async def database(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the shared database, empty of rows, with the clock running as usual."""
    connection: asyncpg.Connection = await asyncpg.connect(migrated)
    await connection.execute(
        "truncate public.prebookings, public.auth_sessions, prebooking.retries, prebooking.session_checks,"
        " prebooking.notices, prebooking.email_owners, prebooking.accounts, prebooking.sign_in_tries,"
        " prebooking.own_sign_ins, prebooking.calendars, public.prebooking_series cascade"
    )
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(scope="session")
async def outside(server: Postgres, migrated: str) -> AsyncIterator[Outside]:
    """The stand-ins of the outside systems."""
    async with stand_ins(server, migrated.rpartition("/")[2]) as systems:
        yield systems


@pytest.fixture
async def world(database: asyncpg.Connection, outside: Outside) -> AsyncIterator[World]:
    """The service, ready; the stand-ins as new."""
    async with open_world(database, *outside) as running:
        yield running
