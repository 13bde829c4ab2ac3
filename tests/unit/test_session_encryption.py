"""`prebooking encrypt-sessions`: once over everything, again for a new key, beside a running service, never a loss."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.world import Outside
from tests.unit.test_cli import COMPLETE, run

from prebooking.adapters.supabase.rpc import open_rpc
from prebooking.adapters.supabase.session_vault import SessionVault
from prebooking.adapters.supabase.sign_ins import open_password, seal_password
from prebooking.adapters.supabase.store import open_store
from prebooking.domain.cookies import Cookie
from prebooking.operator.session_encryption import Encryption, Step
from prebooking_local.supabase import Gateway

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def user(number: int) -> str:
    return f"member{number:03}@example.com"


async def insert(database: asyncpg.Connection, number: int, cookies: Any = None) -> None:
    plain = [{"name": "amhrdrauth", "value": f"cookie-{number}"}] if cookies is None else cookies
    await database.execute(
        "insert into public.auth_sessions"
        " (user_email, aimharder_token, aimharder_cookies, fingerprint, session_type, updated_at)"
        " values ($1, $2, $3, 'print', 'background', $4)",
        user(number),
        f"token-{number}",
        json.dumps(plain),
        datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=number),
    )


async def rows(database: asyncpg.Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in await database.fetch("select * from public.auth_sessions order by user_email")]


@asynccontextmanager
async def encryption(gateway: Gateway, *keys: bytes) -> AsyncIterator[Encryption]:
    async with open_rpc(gateway.url, gateway.secret_key, "tests") as rpc:
        yield Encryption(rpc, SessionVault(keys))


async def encrypt(gateway: Gateway, *keys: bytes) -> Encryption:
    async with encryption(gateway, *keys) as running:
        assert Step.LATER not in [step async for step in running.run()]
        return running


async def token_of(gateway: Gateway, number: int, *keys: bytes) -> str | None:
    async with open_store(gateway.url, gateway.secret_key, "tests", SessionVault(keys)) as store:
        found = await store.read_session(user(number))
        assert found
        return found.session.token if found.session else None


async def test_all_rows_are_encrypted_once_and_read_the_same(database: asyncpg.Connection, outside: Outside) -> None:
    for number in range(250):  # more than a page
        await insert(database, number)
    before = await rows(database)
    done = await encrypt(outside[0], NEW)
    assert (done.encrypted, done.left, done.unreadable) == (250, 0, {})
    after = await rows(database)
    changed = {name for one, two in zip(before, after, strict=True) for name in one if one[name] != two[name]}
    assert changed == {"aimharder_token", "aimharder_cookies"}
    assert not [row for row in after if "token-" in str(row) or "cookie-" in str(row)]
    assert await token_of(outside[0], 7, NEW) == "token-7"
    again = await encrypt(outside[0], NEW)
    assert (again.encrypted, again.left, await rows(database) == after) == (0, 0, True)


async def remember(database: asyncpg.Connection, number: int, stored: str) -> None:
    await database.execute(
        "insert into prebooking.accounts (user_email, fingerprint, password) values ($1, 'print', $2)",
        user(number),
        stored,
    )


async def test_remembered_passwords_are_encrypted_anew_with_the_sessions(
    database: asyncpg.Connection, outside: Outside
) -> None:
    old, new = SessionVault((OLD,)), SessionVault((NEW,))
    for number in range(120):  # more than a page
        await remember(database, number, seal_password(old, f"password {number}", user(number)))
    await remember(database, 120, seal_password(old, "of another user", user(0)))
    await insert(database, 0)
    done = await encrypt(outside[0], NEW, OLD)
    assert (done.encrypted, done.left, list(done.unreadable_passwords)) == (121, 1, [user(120)])
    stored = await database.fetch("select user_email, password from prebooking.accounts order by user_email limit 120")
    opened = [open_password(new, row["password"], row["user_email"]) for row in stored]
    assert opened == [f"password {number}" for number in range(120)]
    assert (await encrypt(outside[0], NEW)).encrypted == 0


async def test_a_new_key_takes_over_and_the_old_one_can_go(database: asyncpg.Connection, outside: Outside) -> None:
    for number in range(3):
        await insert(database, number)
    await encrypt(outside[0], OLD)
    await insert(database, 3)
    done = await encrypt(outside[0], NEW, OLD)
    assert (done.encrypted, done.left) == (4, 0)
    assert [await token_of(outside[0], number, NEW) for number in range(4)] == [f"token-{n}" for n in range(4)]
    assert await token_of(outside[0], 0, OLD) is None


async def test_what_has_no_key_is_left_as_it_is_and_named(database: asyncpg.Connection, outside: Outside) -> None:
    await insert(database, 0)
    await encrypt(outside[0], OLD)
    (before,) = await rows(database)
    await insert(database, 1)
    done = await encrypt(outside[0], NEW)
    assert (done.encrypted, done.left) == (1, 1)
    assert list(done.unreadable) == [before["id"]]
    assert f"under key {SessionVault([OLD]).key_id}" in done.unreadable[before["id"]]
    assert (await rows(database))[0] == before


@pytest.mark.parametrize("cookies", [[], [3], "x", {"a": [1.5, None, "ñ"]}, 7])
async def test_what_nobody_can_read_is_kept_too(database: asyncpg.Connection, outside: Outside, cookies: Any) -> None:
    await insert(database, 0, cookies)
    assert (await encrypt(outside[0], NEW)).left == 0
    (row,) = await rows(database)
    sealed = json.loads(row["aimharder_cookies"])
    assert json.loads(SessionVault([NEW]).open(sealed, user(0), "cookies")) == cookies


async def test_a_row_that_is_being_refreshed_waits_for_the_next_pass(
    database: asyncpg.Connection, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prebooking.operator.session_encryption._PAUSE_S", 0)
    for number in range(2):
        await insert(database, number)
    lease = "update public.auth_sessions set refresh_lease_until = {} where user_email = $1"
    await database.execute(lease.format("now() + interval '1 min'"), user(0))
    steps = []
    async with encryption(outside[0], NEW) as running:
        async for step in running.run():
            steps.append(step)
            if step is Step.LATER:
                await database.execute(lease.format("null"), user(0))
    assert sorted(steps) == ["encrypted", "encrypted", "later"]
    assert running.left == 0


class One:
    """Whoever is asked for, it is this account."""

    visit: Any = None

    def __init__(self, account: Any) -> None:
        self._account = account

    @asynccontextmanager
    async def account(self, _: Any) -> AsyncIterator[Any]:
        yield self._account


async def test_a_refresh_beside_it_loses_neither_its_token_nor_its_encryption(
    database: asyncpg.Connection, outside: Outside
) -> None:
    """Sessions are refreshed over and over while rows are encrypted under one key after another."""
    from prebooking.adapters.clock import SystemClock
    from prebooking.domain.classes import MemberBox
    from prebooking.domain.sessions import NewTokens
    from prebooking.usecases.effects import Effects
    from prebooking.usecases.sessions.refresh import SessionRefresher

    class Account:
        """At AimHarder: a refresh with any but the newest token would end the session."""

        token, refreshed = "token-0", 0
        login: Any = None
        enter: Any = None

        async def refresh(self, token: str, _: str) -> NewTokens | None:
            assert token == self.token
            self.refreshed += 1
            self.token = f"token-{self.refreshed}"
            return NewTokens(self.token, self.cookies)

        def use(self, cookies: Any) -> None: ...

        @property
        def cookies(self) -> tuple[Cookie, ...]:
            return (Cookie("amhrdrauth", self.token),)

        async def whoami(self) -> bool:
            return True

        async def boxes(self) -> tuple[MemberBox, ...]:
            return ()

    await insert(database, 0)
    gateway, account, done = outside[0], Account(), asyncio.Event()

    async def rotate() -> None:
        keys: tuple[bytes, ...] = (NEW, OLD)
        while not done.is_set():
            async with encryption(gateway, *keys) as running:
                async for _ in running._one_pass():
                    pass
            keys = keys[::-1]

    async with (
        open_store(gateway.url, gateway.secret_key, "tests", SessionVault((NEW, OLD))) as store,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(rotate())
        clock = SystemClock()
        sessions = SessionRefresher(store, One(account), clock, Effects(clock))
        for _ in range(25):
            found = await store.read_session(user(0))
            assert found
            assert found.session
            assert found.session.token == account.token
            await asyncio.sleep(0.005)
            refreshed = await sessions.refresh(account, user(0), found.session, within_s=5)
            assert refreshed
            assert refreshed.token == account.token
        done.set()
    assert account.refreshed == 25
    (row,) = await rows(database)
    assert row["aimharder_token"].startswith("enc:v1:")


async def test_the_command_says_how_many_and_how_it_ended(
    database: asyncpg.Connection, outside: Outside, tmp_path: Path
) -> None:
    for number in range(3):
        await insert(database, number)
    keys = [base64.b64encode(key).decode() for key in (OLD, NEW)]
    systems = COMPLETE | {"SUPABASE_URL": outside[0].url, "SUPABASE_SECRET_KEY": outside[0].secret_key}
    first = await run(tmp_path, "encrypt-sessions", **systems, SESSION_ENCRYPTION_KEYS=keys[0])
    assert (first.code, first.out) == (0, "Encrypted 3. Not under the first key: 0.\n"), first.err
    rotated = await run(tmp_path, "encrypt-sessions", **systems, SESSION_ENCRYPTION_KEYS=f"{keys[1]}, {keys[0]}")
    assert (rotated.code, rotated.out) == (0, "Encrypted 3. Not under the first key: 0.\n")
    locked_out = await run(tmp_path, "encrypt-sessions", **systems, SESSION_ENCRYPTION_KEYS=keys[0])
    assert (locked_out.code, locked_out.out) == (1, "Encrypted 0. Not under the first key: 3.\n")
    assert locked_out.err.count("which SESSION_ENCRYPTION_KEYS lacks") == 3
    too_soon = await run(tmp_path, "encrypt-sessions", **systems, SESSION_ENCRYPTION_KEYS=f"plain,{keys[1]}")
    too_soon.assert_told("Not started. SESSION_ENCRYPTION_KEYS begins with plain: ")
    without = await run(tmp_path, "encrypt-sessions", **systems)
    without.assert_told("Not started. SESSION_ENCRYPTION_KEYS is missing")
