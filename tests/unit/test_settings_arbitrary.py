"""Whatever strings the environment holds: they are refused by name, or all that is built of them works.

SETTINGS_EXAMPLES=10000 tries so many, others each time.
"""

import asyncio
import io
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, event, given, settings
from rich.console import Console
from starlette.applications import Starlette
from tests.support.captured_logs import log_restored
from tests.support.setting_strings import environments
from tests.support.signing import signature

from prebooking.adapters.qstash.notice_webhook import NoticeWebhook
from prebooking.adapters.supabase import rpc
from prebooking.cli.database import migrate
from prebooking.composition import Outside
from prebooking.domain.cookies import Cookie
from prebooking.domain.errors import PrebookingError
from prebooking.domain.prebooking import Box, Session
from prebooking.main import create_app
from prebooking.operator import commands
from prebooking.settings import MigrationSettings, Settings, SettingsError, read_settings

EXAMPLES = int(os.environ.get("SETTINGS_EXAMPLES", "0"))
NAMES = [name.upper() for kind in (Settings, MigrationSettings) for name in kind.model_fields]
BORROWED = [
    "RENDER_EXTERNAL_URL",
    "FLY_APP_NAME",
    "NEXT_PUBLIC_SUPABASE_URL",
    "SUPABASE_SERVICE_ROLE_KEY",
    "POSTGRES_URL",
]
PROXIES = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"]
BOX = Box(subdomain="mygym", aimharder_id="7")
SESSION = Session(
    id=uuid4(), user_email="a@b", token="t", stored_token="t", cookies=(Cookie("c", "x"),), fingerprint="f"
)


@pytest.fixture(autouse=True)
def nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Names are looked up as far as it goes without a network, and nothing listens anywhere."""
    monkeypatch.chdir(tmp_path)

    async def look_up(_: Any, host: str | bytes, *__: Any, **___: Any) -> Any:
        if isinstance(host, str):
            host.encode("idna")  # as the socket module does
        raise socket.gaierror(socket.EAI_NONAME, "no network here")

    async def refuse(*_: Any, **__: Any) -> Any:
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", look_up)
    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "create_connection", refuse)
    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", refuse)
    monkeypatch.setattr(rpc, "_PAUSES_S", (0, 0))
    with log_restored():
        yield


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@settings(
    max_examples=EXAMPLES or 150,
    derandomize=not EXAMPLES,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(environment=environments([*NAMES, *BORROWED, *PROXIES]))
def test_any_environment_is_refused_by_name_or_works(environment: dict[str, str]) -> None:
    with patch.object(os, "environ", environment):
        try:
            told = read_settings(Settings)
        except SettingsError as exc:
            for line in str(exc).splitlines():
                assert any(re.match(rf"{name}\b", line) for name in NAMES), line
        else:
            event("taken")
            asyncio.run(everything_is_asked(told))
        doctor_tells()
        migrating_tells()


async def everything_is_asked(told: Settings) -> None:
    seen: list[Outside] = []

    def see(outside: Outside) -> Outside:
        seen.append(outside)
        return outside

    app = create_app(see)
    transport = httpx.ASGITransport(app, root_path="")
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
        async with asyncio.TaskGroup() as group:
            for request in requests(told):
                group.create_task(answered(http, request))
        await outside_is_asked(seen[0])
    await closed(app)


def requests(told: Settings) -> Iterator[httpx.Request]:
    prefix = urlsplit(told.public_url).path
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/", "/console/config.json", "/nothing"):
        yield httpx.Request("GET", f"http://service{path}")
    yield httpx.Request("GET", f"http://service{prefix}/openapi.json")
    as_server = {"X-User-Email": "ana@example.com"}
    if told.service_api_key:
        as_server["Authorization"] = f"Bearer {told.service_api_key.get_secret_value()}"
    yield httpx.Request("GET", "http://service/prebookings", headers=as_server)
    yield httpx.Request(
        "GET", "http://service/prebookings", headers={"Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"}
    )
    key = told.qstash_current_signing_key.get_secret_value()
    content = json.dumps({"ping": str(uuid4())}).encode()
    signed = {"Upstash-Signature": signature(f"{told.public_url}/qstash/ping", content, key=key)}
    for path in ("/qstash/ping", f"{prefix}/qstash/ping"):
        yield httpx.Request("POST", f"http://service{path}", content=content, headers=signed)
    for origin in ("https://app.example.com", *told.frontend_origins):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        yield httpx.Request("OPTIONS", "http://service/prebookings", headers=asked)


async def answered(http: httpx.AsyncClient, request: httpx.Request) -> None:
    answer = await http.send(request)
    assert answer.status_code < 500 or answer.status_code == 503, (request.url, answer.text)
    if request.url.path.endswith("/qstash/ping"):
        assert answer.status_code == 503, answer.text  # believed, and the database is silent
    if request.url.path == "/healthz":
        assert answer.status_code == 200


async def outside_is_asked(outside: Outside) -> None:
    """Each client fails as one whom nobody answers."""
    with pytest.raises(PrebookingError):
        await outside.messages.schedule_sweep(5)
    async with outside.gyms.visit(BOX, SESSION) as gym:
        with pytest.raises(PrebookingError):
            await gym.whoami()
    async with outside.gyms.account(SESSION.cookies) as account:
        with pytest.raises(PrebookingError):
            await account.whoami()
    if outside.notification_sender is not None:
        assert isinstance(outside.notification_sender, NoticeWebhook)
        with pytest.raises(PrebookingError):
            await outside.notification_sender._messages.forward(
                outside.notification_sender._url, "{}", {}, deduplication_id="x"
            )


async def closed(app: Starlette) -> None:
    """As a loop that ends does it."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def doctor_tells() -> None:
    out = io.StringIO()
    code = commands.doctor(Console(file=out), as_json=True, within_s=0.01)
    found = json.loads(out.getvalue())
    assert (code, found["healthy"]) == (1, False)


def migrating_tells() -> None:
    with pytest.raises((SettingsError, SystemExit)):
        migrate()
