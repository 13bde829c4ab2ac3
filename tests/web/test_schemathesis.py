"""All checks of schemathesis, with and without credentials: 0 failures, 0 answers of 500 and above.

SCHEMATHESIS_EXAMPLES=200 tries as many of each operation, in all phases also without credentials; the suite tries few.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.world import SERVICE_KEY, Outside, World, open_world

TESTS = Path(__file__).parents[1]
ANA = "ana@example.com"
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES")
ALL_PHASES = "examples,coverage,fuzzing,stateful"


@pytest.fixture
async def unlimited(database: asyncpg.Connection, outside: Outside) -> AsyncIterator[World]:
    """A user may make as many prebookings as are tried."""
    most = 10**6
    async with open_world(
        *(database, *outside),
        sweep_seconds=0,
        max_active_prebookings=most,
        max_creates_per_minute=most,
        max_session_checks_per_minute=most,
    ) as world:
        yield world


async def schemathesis(world: World, folder: Path, phases: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--config-file",
            str(TESTS / "schemathesis.toml"),
            "run",
            f"{world.url}/openapi.json",
        ),
        # All checks are on; `--checks all` would also turn on those that the configuration turns off for a route.
        *("--phases", phases, "--seed", "1", "--max-examples", EXAMPLES or "5", "--no-color"),
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), os.environ.get("PYTHONPATH", "")])}
        | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_nobody_gets_in_and_nothing_breaks_without_credentials(unlimited: World, tmp_path: Path) -> None:
    code, said = await schemathesis(unlimited, tmp_path, ALL_PHASES if EXAMPLES else "examples,fuzzing")
    assert code == 0, said


async def test_each_route_keeps_its_contract_with_credentials(unlimited: World, tmp_path: Path) -> None:
    session = await living_session(unlimited)
    token = unlimited.gateway.auth.access_token(ANA)
    made = await unlimited.http.post("/calendar", headers=unlimited.speaking_for("bo@example.com"))
    secret = made.json()["url"].rpartition("/")[2].removesuffix(".ics")
    credentials = {"ACCESS_TOKEN": token, "LIVING_SESSION": json.dumps(session), "SERVICE_KEY": SERVICE_KEY}
    credentials["CALENDAR_SECRET"] = secret
    code, said = await schemathesis(unlimited, tmp_path, ALL_PHASES, **credentials)
    assert code == 0, said
    assert "Authentication failed" not in said


async def living_session(world: World) -> dict[str, Any]:
    """The body of PUT /session."""
    await world.member(ANA)
    session = world.gym.accounts.stored_session(ANA, world.gym.site.clock())
    return {"cookies": session.cookies(), "token": session.token, "fingerprint": session.fingerprint}
