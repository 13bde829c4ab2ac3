"""The server as a process, and as a context manager of its own."""

import asyncio
import json
import sys

import httpx
import pytest

from prebooking_local.qstash import DEV_CURRENT_KEY, qstash_server
from prebooking_local.qstash.server import ProductionError


async def test_the_process_says_where_it_listens_and_ends_with_its_starter() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "prebooking_local.qstash", "--port", "0"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    url = json.loads(await process.stdout.readline())["url"]
    assert url.startswith("http://127.0.0.1:")
    async with httpx.AsyncClient() as anyone:
        assert (await anyone.get(f"{url}/_control/messages")).json() == {"pending": [], "finished": []}
    process.stdin.close()
    assert await process.wait() == 0


async def test_it_serves_on_loopback_while_its_context_lasts() -> None:
    async with qstash_server() as server, httpx.AsyncClient() as anyone:
        assert server.url.startswith("http://127.0.0.1:")
        headers = {"Authorization": f"Bearer {server.qstash.token}"}
        answer = await anyone.get(f"{server.url}/v2/keys", headers=headers)
        assert answer.json()["current"] == DEV_CURRENT_KEY
    async with httpx.AsyncClient() as anyone:
        with pytest.raises(httpx.ConnectError):
            await anyone.get(server.url)


@pytest.mark.parametrize("name", ["ENVIRONMENT", "NODE_ENV"])
async def test_it_refuses_to_start_in_production(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "production")
    with pytest.raises(ProductionError, match=name):
        async with qstash_server():
            pass
