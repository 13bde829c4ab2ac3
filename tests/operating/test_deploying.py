"""What .deploy/ and the README tell an operator works as it stands there."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
from tests.support.signing import SWEEP, signature
from tests.support.world import Outside

from prebooking.settings import MigrationSettings, Settings
from prebooking.usecases.effects import GRACE_S
from prebooking_local.serving import free_port

ROOT = Path(__file__).parents[2]
README = (ROOT / "src/prebooking/operator/README.md").read_text(encoding="utf-8")


@asynccontextmanager
async def as_a_platform_does(folder: Path, outside: Outside) -> AsyncIterator[str]:
    """An ASGI server that knows `index:app` alone, on a host that sleeps."""
    gateway, qstash, gym = outside
    shutil.copy(ROOT / ".deploy/vercel/index.py", folder)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    ours = {name.upper() for kind in (Settings, MigrationSettings) for name in kind.model_fields}
    environment = {name: value for name, value in os.environ.items() if name not in ours} | {
        "SUPABASE_URL": gateway.url,
        "SUPABASE_SECRET_KEY": gateway.secret_key,
        "QSTASH_URL": qstash.url,
        "QSTASH_TOKEN": qstash.qstash.token,
        "QSTASH_CURRENT_SIGNING_KEY": qstash.qstash.keys.current,
        "QSTASH_NEXT_SIGNING_KEY": qstash.qstash.keys.next,
        "PUBLIC_URL": url,
        "AIMHARDER_ACCOUNT_URL": gym.url,
        "AIMHARDER_LOGIN_URL": gym.url,
        "SWEEP_SECONDS": "0",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "uvicorn", "index:app", "--port", str(port), "--log-level", "error"),
        cwd=folder,
        env=environment,
    )
    try:
        yield url
    finally:
        process.terminate()
        await process.wait()


async def test_the_entry_point_for_platforms_serves(
    database: asyncpg.Connection, outside: Outside, tmp_path: Path
) -> None:
    async with as_a_platform_does(tmp_path, outside) as url, httpx.AsyncClient(base_url=url) as http:
        async with asyncio.timeout(60):
            while True:
                try:
                    ready = await http.get("/readyz")
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)
        assert ready.json() == {"status": "ready"}
        swept = await http.post(SWEEP, content=b"", headers={"Upstash-Signature": signature(url + SWEEP, b"")})
        assert swept.json() == {"outcome": "swept", "found": {"execute": 0, "settle": 0, "publish": 0}}


def test_the_figures_to_alarm_on_are_figures_that_there_are() -> None:
    from prebooking.adapters.prometheus import PrometheusMetrics

    exposed = PrometheusMetrics().exposition()[0].decode()
    named = set(re.findall(r"prebooking_[a-z_]+(?=\[|\{|_bucket\[)", README))
    assert len(named) == 7
    for name in named:
        base = name.removesuffix("_bucket").removesuffix("_total")
        assert f"# TYPE {base}" in exposed, name


def test_the_unit_leaves_time_to_finish_what_was_sent() -> None:
    unit = (ROOT / ".deploy/systemd/prebooking.service").read_text(encoding="utf-8")
    [allowed] = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)

    assert Settings.model_fields["max_duration_seconds"].default + GRACE_S < int(allowed)
