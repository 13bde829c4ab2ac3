"""No client heeds the proxies of the environment: AIMHARDER_PROXY is the one there is, and only for the gyms."""

import ast
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

import prebooking
from prebooking.adapters.aimharder.client import AimHarder
from prebooking.adapters.host_probe import probe
from prebooking.adapters.key_set import open_key_set
from prebooking.adapters.qstash.account import open_account
from prebooking.adapters.qstash.messages import open_messages
from prebooking.adapters.supabase.rpc import open_rpc
from prebooking.adapters.tls import trusted
from prebooking.domain.errors import PrebookingError
from prebooking.domain.prebooking import Box, Session
from prebooking.web.auth import ALGORITHMS

VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
SESSION = Session(id=uuid4(), user_email="a@b", token="t", stored_token="t", cookies=(), fingerprint="f")


class Listener:
    """Notes the first line of what is asked, and hangs up."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.url = ""

    async def probe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readline()).decode())
        writer.close()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    heard = Listener()
    async with await asyncio.start_server(heard.probe, "127.0.0.1", 0) as server:
        heard.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield heard


async def supabase(url: str) -> None:
    async with open_rpc(url, "key", "test") as rpc:
        await rpc.call("sweep_prebookings")


async def messages(url: str) -> None:
    async with open_messages(url, "token", public_url="https://x", lead_s=3, max_duration_s=10) as qstash:
        await qstash.schedule_sweep(5)


async def account(url: str) -> None:
    async with open_account(url, "token") as qstash:
        await qstash.signing_keys()


async def gym(url: str) -> None:
    async with AimHarder(url, url, None, lambda: 0.0).visit(Box(subdomain="mygym", aimharder_id="7"), SESSION) as box:
        await box.whoami()


async def keys(url: str) -> None:
    async with open_key_set(url, trusted(), ALGORITHMS) as known:
        await known.key("x")


async def clock(url: str) -> None:
    await probe(url)


@pytest.mark.parametrize("client", [supabase, messages, account, gym, keys, clock])
@pytest.mark.parametrize(
    "proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:1080", "socks://x", "no url", "\u00e9://["]
)
async def test_no_proxy_variable_ends_a_client_or_takes_its_traffic_away(
    monkeypatch: pytest.MonkeyPatch, listener: Listener, client: Callable[[str], Awaitable[None]], proxy: str
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, proxy)
    monkeypatch.setenv("NO_PROXY", "[::1")
    with suppress(PrebookingError):  # it was hung up on
        await client(listener.url)
    assert listener.asked
    assert all(" /" in line for line in listener.asked)  # a path: a proxy is asked for the whole URL


def test_each_client_that_there_is_leaves_the_environment_alone() -> None:
    source = Path(prebooking.__file__).parents[1]
    built = [
        (path.name, ast.unparse(node))
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in ("AsyncClient", "Client", "AsyncHTTPTransport")
    ]
    assert len(built) >= 3
    assert [call for call in built if "trust_env=False" not in call[1]] == []
