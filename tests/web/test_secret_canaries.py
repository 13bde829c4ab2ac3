"""Marked secrets go through every error path, and none is found in a log line, an answer, a row or a message."""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support import signing
from tests.support.captured_logs import logged
from tests.support.executions import ANA, BOOK, ENTRANCE, LISTING, LOGIN, REFRESH, WHOAMI, inject_fault
from tests.support.webhook_receiver import receiver
from tests.support.world import SERVICE_KEY, Outside, World, open_world
from tests.unit.test_cli import COMPLETE, run
from tests.web.test_session_watch import time_passes

from prebooking.adapters.aimharder.account import AimHarderAccount
from prebooking.adapters.aimharder.gym import AimHarderGym
from prebooking.adapters.supabase.store import SupabaseStore
from prebooking.settings import Settings, secrets_of
from prebooking_local.aimharder import Member
from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN
from prebooking_local.supabase import Fault

SESSION_KEY = base64.b64encode(b"canary of the session encryption"[:32]).decode()
ACCESS_TOKEN = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImNhbmFyeSJ9.eyJjYW5hcnkiOiJjYW5hcnkifQ.canary_canary-canary0123456789"
PASSWORD = "canary of a password"
CUSTOM_COOKIE = "canary-of-a-cookie-of-another-name"
OURS = {"SERVICE_KEY": SERVICE_KEY, "QSTASH_TOKEN": DEV_TOKEN, "CURRENT": DEV_CURRENT_KEY, "NEXT": DEV_NEXT_KEY}

# What a broken or hostile gym may do with a request: each quotes what it was sent, the secrets included.
ECHOES: dict[str, str] = {
    "statement": 'HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{"bookState": -9, "errorMssg": "you: {sent}"}}',
    "an id": 'HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{"bookState": 1, "id": "{sent}"}}',
    "html": "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n<html>{sent}</html>",
    "error page": "HTTP/1.1 500 {sent}\r\nContent-Length: {length}\r\n\r\n{sent}",
    "redirect": "HTTP/1.1 302 Found\r\nLocation: https://x.example/?{sent}\r\nContent-Length: 0\r\n\r\n",
    "cookies": "HTTP/1.1 200 OK\r\nSet-Cookie: a={sent}\r\nSet-Cookie: {sent}\r\nContent-Length: 2\r\n\r\n{{}}",
    "garbage for headers": "HTTP/1.1 200 OK\r\n{sent}\r\nno header: at all\r\n\x00{sent}\r\n\r\n",
    "garbage for a status": "{sent}\r\n\r\n",
    "garbage for chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{sent}\r\n",
    "garbage for a length": "HTTP/1.1 200 OK\r\nContent-Length: {sent}\r\n\r\n",
}


class Echo(asyncio.Protocol):
    """Answers the first request of a connection with what is asked for, and closes it."""

    def __init__(self, form: str, *, quotes_body: bool = False) -> None:
        self._form = form
        self._quotes_body = quotes_body
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        head, _, sent = self._head.decode("latin-1").partition("\r\n\r\n")
        if self._quotes_body and not sent.endswith("}"):
            return
        if not self._quotes_body:
            sent = next(line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("cookie:"))
        body = self._form.format(sent=sent, length=0).partition("\r\n\r\n")[2]
        self._transport.write(self._form.format(sent=sent, length=len(body)).encode("latin-1"))
        self._transport.close()


@asynccontextmanager
async def echoing_gym(form: str, *, quotes_body: bool = False) -> AsyncIterator[str]:
    """Its URL."""
    server = await asyncio.get_running_loop().create_server(lambda: Echo(form, quotes_body=quotes_body), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Seen:
    """Everything that the outside got to see."""

    def __init__(self) -> None:
        self.answers: list[str] = []

    async def keep(self, answer: httpx.Response) -> None:
        await answer.aread()
        self.answers.append(f"{answer.status_code} {answer.headers.raw} {answer.text}")

    async def check(self, world: World, log: str, secrets: list[str]) -> None:
        rows = await world.database.fetch("select row_to_json(p)::text from public.prebookings p")
        sessions = await world.database.fetch(
            "select concat_ws(' ', last_token_update_error, last_refresh_error, user_email) from public.auth_sessions"
        )
        broker = world.qstash.qstash.broker
        orders = [message.order for message in (*broker.pending.values(), *broker.finished)]
        shown = {
            "log": log,
            "answers": "\n".join(self.answers),
            "rows": "\n".join(row[0] for row in (*rows, *sessions)),
            "messages": "\n".join(f"{order.url} {order.headers} {order.body!r}" for order in orders),
        }
        found = [(place, secret) for place, text in shown.items() for secret in secrets if secret in text]
        assert found == []
        assert self.answers


def secrets_of_session(world: World, email: str = ANA) -> list[str]:
    found = []
    for session in world.gym.accounts.sessions(email):
        found += [session.token, session.auth, session.fingerprint, *session.php_ids]
    return found


@asynccontextmanager
async def watched(
    database: asyncpg.Connection, outside: Outside, **settings: Any
) -> AsyncIterator[tuple[World, list[str]]]:
    """A replica whose log, answers, rows and messages are searched at the end for its secrets and those added."""
    secrets = [*OURS.values(), SESSION_KEY, ACCESS_TOKEN, CUSTOM_COOKIE, outside[0].secret_key]
    seen = Seen()
    chosen: dict[str, Any] = {"sweep_seconds": 0, "session_encryption_keys": SESSION_KEY} | settings
    with logged(_settings_secrets(outside)) as log:
        async with open_world(database, *outside, **chosen) as world:
            world.http.event_hooks["response"].append(seen.keep)
            yield world, secrets
            await world.services.sweeper.wait_idle()
            secrets += secrets_of_session(world)
        await seen.check(world, log.getvalue(), secrets)


def _settings_secrets(outside: Outside) -> dict[str, str]:
    """As the service's own start collects them."""
    values: dict[str, Any] = {
        "supabase_url": outside[0].url,
        "SUPABASE_SECRET_KEY": outside[0].secret_key,
        "qstash_token": DEV_TOKEN,
        "qstash_current_signing_key": DEV_CURRENT_KEY,
        "qstash_next_signing_key": DEV_NEXT_KEY,
        "public_url": "http://x",
        "service_api_key": SERVICE_KEY,
        "session_encryption_keys": SESSION_KEY,
    }
    return secrets_of(Settings(_env_file=None, **values))


async def booked_or_not(world: World, **data: Any) -> dict[str, Any]:
    row = await world.prebook(ANA, world.open_class(), **data)
    message = next(message for message in world.messages(row["id"]))
    async with asyncio.timeout(60):
        while not message.attempts or message.attempts[0].answered_at is None:
            await asyncio.sleep(0.02)
    return await world.read(ANA, row["id"])


async def mark(world: World) -> None:
    """Ana's stored session has a cookie of another name too."""
    await world.database.execute(
        "update public.auth_sessions set aimharder_cookies = aimharder_cookies || $1::jsonb",
        json.dumps([{"name": "custom", "value": CUSTOM_COOKIE}]),
    )


@pytest.mark.parametrize("place", ["log", "answers", "rows", "messages"])
async def test_a_canary_that_gets_out_is_found(database: asyncpg.Connection, outside: Outside, place: str) -> None:
    shown = {"log": "in the log", "answers": '"pending"', "rows": "in the row", "messages": "prebooking_id"}

    async def let_out() -> None:
        async with watched(database, outside) as (world, secrets):
            await world.prebook(ANA, world.open_class(60))
            await database.execute("update public.prebookings set last_message = 'in the row'")
            logging.getLogger("a.library").warning("in the log")
            secrets.append(shown[place])

    with pytest.raises(AssertionError, match=place):
        await let_out()


async def test_wrong_signatures_tokens_and_keys(database: asyncpg.Connection, outside: Outside) -> None:
    async with watched(database, outside) as (world, secrets):
        for token in (ACCESS_TOKEN, f"{SERVICE_KEY}x", DEV_TOKEN, SESSION_KEY, "canary-token"):
            for path in ("/prebookings", "/session", f"/prebookings/{token}", f"/{token}"):
                headers = {"Authorization": f"Bearer {token}", "apikey": token, "Cookie": f"a={CUSTOM_COOKIE}"}
                await world.http.get(path if token not in path else "/nowhere", headers=headers)
        for key in ("canary of a signing key 0123456789", DEV_NEXT_KEY):
            signature = signing.signature(world.url + signing.EXECUTE, b"{}", key=key)
            secrets.append(signature)
            await world.http.post(signing.EXECUTE, content=b"{}", headers={"Upstash-Signature": signature})
        await world.http.post(signing.SWEEP, headers={"Upstash-Signature": ACCESS_TOKEN})


async def test_wrong_bodies(database: asyncpg.Connection, outside: Outside) -> None:
    async with watched(database, outside) as (world, secrets):
        headers = world.speaking_for(ANA)
        secrets.append(PASSWORD)
        for wrong_login in (
            {"email": PASSWORD, "password": PASSWORD},
            {"email": [PASSWORD], "password": [PASSWORD]},
            {"email": "a@b.cd", "password": PASSWORD, "remember": PASSWORD},
            {"email": "a@b.cd", "password": PASSWORD * 100},
            {"email": "a@b.cd", "password": {PASSWORD: PASSWORD}},
        ):
            answer = await world.http.post("/session", headers=headers, json=wrong_login)
            assert answer.status_code == 422
        for half in (PASSWORD, f'{{"password": "{PASSWORD}', f'{{"email": "a@b.cd", "password": "{PASSWORD}\\ud800"}}'):
            await world.http.post("/session", headers=headers | {"Content-Type": "application/json"}, content=half)
        for value in (CUSTOM_COOKIE, [CUSTOM_COOKIE], {"name": CUSTOM_COOKIE + ";", "value": CUSTOM_COOKIE + "\n"}):
            wrong = {"cookies": value, "token": f"{ACCESS_TOKEN} ", "fingerprint": CUSTOM_COOKIE * 5}
            await world.http.put("/session", headers=headers, json=wrong)
            await world.http.put("/session", headers=headers, json=wrong | {"cookies": [value]})
        await world.http.put("/session", headers=headers, content=CUSTOM_COOKIE)
        json_headers = headers | {"Content-Type": "application/json"}
        await world.http.put("/session", headers=json_headers, content=f'{{"cookies": {CUSTOM_COOKIE}')
        await world.http.post("/prebookings", headers=headers, json={"box_subdomain": ACCESS_TOKEN})


@pytest.mark.parametrize("kind", ["unavailable", "drop", "blank"])
async def test_a_database_that_is_down(database: asyncpg.Connection, outside: Outside, kind: Any) -> None:
    async with watched(database, outside) as (world, secrets):
        await world.member(ANA)
        row = await world.prebook(ANA, world.open_class(60))
        live = world.gym.accounts.sessions(ANA)[0]
        session = {"cookies": live.cookies(), "token": live.token, "fingerprint": live.fingerprint}
        secrets += [cookie["value"] for cookie in live.cookies()]
        world.gateway.faults.set(Fault(kind=kind, times=None))
        headers = world.speaking_for(ANA)
        answers = [
            await world.http.put("/session", headers=headers, json=session),
            await world.http.get("/session", headers=headers),
            await world.http.get("/prebookings", headers=headers),
            await signing.deliver(world, signing.EXECUTE, signing.body_of(row["id"])),
        ]
        assert {answer.status_code for answer in answers} == {503}


@pytest.mark.parametrize(
    "fault", [{"api_status": 500}, {"api_status": 401}, {"api_refused": True}, {"api_limit": "daily"}]
)
async def test_a_qstash_that_is_down(database: asyncpg.Connection, outside: Outside, fault: dict[str, Any]) -> None:
    async with watched(database, outside) as (world, _):
        world.qstash.qstash.faults.change({name: {"value": value, "on": "any"} for name, value in fault.items()})
        row = await world.prebook(ANA, world.open_class(60))
        await world.http.delete(f"/prebookings/{row['id']}", headers=world.speaking_for(ANA))


@pytest.mark.parametrize(
    "kind", ["reset", "truncated", "login_page", "empty", "html_text", "redirect", "logout", "status", "gzip_bomb"]
)
async def test_a_gym_on_a_bad_day(database: asyncpg.Connection, outside: Outside, kind: str) -> None:
    async with watched(database, outside, lead_seconds=0, max_duration_seconds=6) as (world, _):
        await world.member(ANA)
        await mark(world)
        for path in (WHOAMI, LISTING, BOOK, REFRESH):
            inject_fault(world, kind, path, status=403)
        await booked_or_not(world)
        await world.http.get("/session", headers=world.speaking_for(ANA))


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_gym_that_quotes_what_it_was_sent(database: asyncpg.Connection, outside: Outside, echo: str) -> None:
    async with echoing_gym(ECHOES[echo]) as url:
        hostile = {"aimharder_box_url": url, "aimharder_account_url": url, "lead_seconds": 0, "max_duration_seconds": 6}
        async with watched(database, outside, **hostile) as (world, _):
            await world.member(ANA)
            await mark(world)
            live = world.gym.accounts.sessions(ANA)[0]
            await booked_or_not(world)
            await world.http.get("/session", headers=world.speaking_for(ANA))
            session = {"cookies": live.cookies(), "token": live.token, "fingerprint": live.fingerprint}
            await world.http.put("/session", headers=world.speaking_for(ANA), json=session)


async def signs_in(world: World, secrets: list[str], **more: Any) -> httpx.Response:
    """Ana, with a password that is one of the secrets, to be remembered."""
    secrets.append(PASSWORD)
    world.gym.accounts.put_member(Member(email=ANA, password=PASSWORD))
    said = {"email": ANA, "password": PASSWORD, "remember": True} | more
    return await world.http.post("/session", headers=world.speaking_for(ANA), json=said)


@pytest.mark.parametrize("path", [LOGIN, ENTRANCE, WHOAMI])
@pytest.mark.parametrize(
    "kind", ["reset", "truncated", "login_page", "empty", "html_text", "redirect", "logout", "status", "gzip_bomb"]
)
async def test_a_sign_in_on_a_bad_day(database: asyncpg.Connection, outside: Outside, kind: str, path: str) -> None:
    async with watched(database, outside) as (world, secrets):
        inject_fault(world, kind, path, status=403, times=2)
        await signs_in(world, secrets)


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_login_that_quotes_what_it_was_sent(database: asyncpg.Connection, outside: Outside, echo: str) -> None:
    async with (
        echoing_gym(ECHOES[echo], quotes_body=True) as url,
        watched(database, outside, aimharder_login_url=url) as (world, secrets),
    ):
        assert (await signs_in(world, secrets)).status_code in (422, 503)


@pytest.mark.parametrize("kind", ["unavailable", "drop", "blank"])
@pytest.mark.parametrize("function", ["admit_sign_in", "store_sign_in"])
async def test_a_sign_in_without_a_database(
    database: asyncpg.Connection, outside: Outside, kind: Any, function: str
) -> None:
    async with watched(database, outside) as (world, secrets):
        world.gateway.faults.set(Fault(function=function, kind=kind, times=None))
        assert (await signs_in(world, secrets)).status_code == 503
        world.gateway.faults.set()
        await world.services.effects.wait_idle()


@pytest.mark.parametrize("remember", [True, False])
async def test_a_sign_in_that_is_refused_or_that_books(
    database: asyncpg.Connection,
    outside: Outside,
    remember: bool,  # noqa: FBT001
) -> None:
    async with watched(database, outside) as (world, secrets):
        secrets.append(f"{PASSWORD} but wrong")
        assert (await signs_in(world, secrets, password=secrets[-1])).status_code == 422
        assert (await signs_in(world, secrets, remember=remember)).status_code == 200
        await booked_or_not(world)
        await world.http.get("/session", headers=world.speaking_for(ANA))
        await world.http.get("/metrics", headers=world.speaking_for(ANA))
        accounts = await database.fetch("select row_to_json(a)::text from prebooking.accounts a")
        sessions = await database.fetch("select row_to_json(s)::text from public.auth_sessions s")
        assert PASSWORD not in f"{accounts} {sessions}"


@pytest.mark.parametrize(
    ("path", "kind"), [(LOGIN, "status"), (LOGIN, "reset"), (LOGIN, "html_text"), (ENTRANCE, "reset"), (LOGIN, "wrong")]
)
async def test_signing_in_again(database: asyncpg.Connection, outside: Outside, path: str, kind: str) -> None:
    async with receiver() as webhook, watched(database, outside, **webhook.settings) as (world, secrets):
        assert (await signs_in(world, secrets)).status_code == 200
        row = await world.prebook(ANA, world.open_class(1790))
        world.gym.accounts.kill(ANA, world.gym.site.clock())
        if kind == "wrong":
            world.gym.accounts.put_member(Member(email=ANA, password="canary of another password"))
        else:
            inject_fault(world, kind, path, status=403)
        async with asyncio.timeout(60):
            while not webhook.received:  # a look that met a slow machine is repeated after a minute
                await world.services.background_tasks.once()
                await time_passes(world, 61)
        (told,) = webhook.received
        warning = (await world.read(ANA, row["id"]))["warning"]
        assert warning["code"] == "session_expired"
        assert PASSWORD not in f"{told} {warning}"
        await booked_or_not(world, id=502, activityName="WOD")
        await world.services.effects.wait_idle()


@pytest.mark.parametrize("function", ["lease_sign_in", "save_sign_in_again", "end_sign_in_again"])
async def test_signing_in_again_without_a_database(
    database: asyncpg.Connection, outside: Outside, function: str
) -> None:
    async with watched(database, outside) as (world, secrets):
        await signs_in(world, secrets)
        await world.prebook(ANA, world.open_class(1790))
        if function == "end_sign_in_again":
            inject_fault(world, "status", LOGIN, status=500)
        world.gym.accounts.kill(ANA, world.gym.site.clock())
        world.gateway.faults.set(Fault(function=function, kind="unavailable", times=6))
        await world.services.background_tasks.once()
        world.gateway.faults.set()
        await world.services.effects.wait_idle()


@pytest.mark.parametrize("method", ["login", "enter"])
async def test_an_exception_in_the_middle_of_a_sign_in(
    database: asyncpg.Connection, outside: Outside, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async def breaks(_: AimHarderAccount, *arguments: Any) -> Any:
        raise RuntimeError("in the middle") from KeyError(len(arguments))

    async with watched(database, outside) as (world, secrets):
        monkeypatch.setattr(AimHarderAccount, method, breaks)
        assert (await signs_in(world, secrets)).status_code == 500


async def test_an_exception_in_the_middle_of_the_pipeline(
    database: asyncpg.Connection, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(gym: AimHarderGym, *_: Any) -> Any:
        cause = ValueError(gym._client.headers("http://x"))
        raise RuntimeError(f"Authorization: Bearer {ACCESS_TOKEN}, token={SERVICE_KEY}") from cause

    async with watched(database, outside) as (world, _):
        await world.member(ANA)
        await mark(world)
        monkeypatch.setattr(AimHarderGym, "listing", breaks)
        row = await booked_or_not(world)
        assert any(
            "An error occurred in this service" in str(attempt.body)
            for attempt in world.messages(row["id"])[0].attempts
        )


async def test_a_session_that_can_not_be_read(
    database: asyncpg.Connection, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watched(database, outside) as (world, secrets):
        for stored in (
            json.dumps(CUSTOM_COOKIE),
            json.dumps([{"name": "a;", "value": CUSTOM_COOKIE}]),
            '"enc:v1:00000000:YQ=="',
        ):
            await database.execute("delete from public.auth_sessions")
            await world.member(ANA)
            await database.execute("update public.auth_sessions set aimharder_cookies = $1", stored)
            await booked_or_not(world)
            await world.http.get("/session", headers=world.speaking_for(ANA))
        secrets.append(CUSTOM_COOKIE)
        refused = {
            "p_token": CUSTOM_COOKIE,
            "p_cookies": [CUSTOM_COOKIE],
            "p_fingerprint": "x" * 51,
            "p_user_email": ANA,
        }
        monkeypatch.setattr(SupabaseStore, "read_session", lambda self, _: self._rpc._try("connect_session", refused))
        answer = await world.http.get("/session", headers=world.speaking_for(ANA))
        assert answer.status_code == 500


async def test_settings_that_are_wrong_stop_the_start_and_are_not_quoted(tmp_path: Path) -> None:
    canary = "canary;canary"
    wrong = COMPLETE | {
        "SUPABASE_URL": canary,
        "QSTASH_CURRENT_SIGNING_KEY": "canary",
        "SERVICE_API_KEY": "canary",
        "SESSION_ENCRYPTION_KEYS": f"{SESSION_KEY},{canary}",
        "AIMHARDER_PROXY": f"ftp://user:{canary}@x",
        "LOG_LEVEL": "DEBUG",
    }
    ran = await run(tmp_path, "serve", **wrong)
    assert ran.code == 1
    assert "SESSION_ENCRYPTION_KEYS: each key must be 32 bytes in base64: make one with `openssl" in ran.err
    assert "canary" not in ran.out + ran.err
    assert SESSION_KEY not in ran.out + ran.err
    down = await run(tmp_path, "migrate", DATABASE_URL="postgresql://u:canary@127.0.0.1:1/x")
    assert (down.code, "canary" in down.out + down.err) == (1, False)
