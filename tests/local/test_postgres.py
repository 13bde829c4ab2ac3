"""The embedded Postgres: a real server of either version that comes quickly and leaves nothing behind."""

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from prebooking_local.postgres import Postgres, ServerFailedError, Version, installation, postgres
from prebooking_local.serving import listen

OWNER = """
import asyncio, sys
from prebooking_local.postgres import postgres

async def main():
    async with postgres() as running:
        print(running.dsn(), running.folder, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture(scope="module", params=[18, 16])
async def running(request: pytest.FixtureRequest) -> AsyncIterator[Postgres]:
    version: Version = request.param
    async with postgres(version) as server:
        yield server


async def fetch(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_it_is_the_version_asked_for(running: Postgres) -> None:
    assert str(await fetch(running.dsn(), "show server_version")).startswith(f"{running.version}.")


async def test_it_speaks_utc_and_knows_every_letter(running: Postgres) -> None:
    assert await fetch(running.dsn(), "show timezone") == "UTC"
    assert await fetch(running.dsn(), "select lower('ÁÑÜ@EXAMPLE.COM')") == "áñü@example.com"


async def test_postgres_is_no_superuser_as_on_hosted_supabase(running: Postgres) -> None:
    superuser = "select rolsuper from pg_roles where rolname = current_user"

    assert await fetch(running.dsn(), superuser) is False
    assert await fetch(running.dsn(user="supabase_admin"), superuser) is True


async def test_what_postgres_creates_is_granted_to_every_api_role_until_revoked(running: Postgres) -> None:
    await running.create_database("granting")
    await fetch(running.dsn("granting"), "create function anyone() returns int language sql as 'select 1'")
    allowed = "select bool_and(has_function_privilege(role, 'anyone()', 'execute')) from unnest($1::text[]) role"
    connection = await asyncpg.connect(running.dsn("granting"))

    assert await connection.fetchval(allowed, ["anon", "authenticated", "service_role"])
    await connection.execute("revoke execute on function anyone() from public")
    assert await connection.fetchval(allowed, ["anon"])  # granted by name, not only through public
    await connection.close()
    await running.drop_database("granting")


async def test_a_wrong_password_is_refused(running: Postgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(running.dsn(), password="guessed")


async def test_a_database_is_copied_from_a_template_with_its_rows(running: Postgres) -> None:
    original = await running.create_database("original")
    await fetch(original, "create table kept as select 7 as n")
    copy = await running.create_database("copy", template="original")

    assert await fetch(copy, "select n from kept") == 7
    for name in ("copy", "original"):
        await running.drop_database(name)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(copy)


@pytest.mark.parametrize("immediate", [True, False])
async def test_committed_rows_survive_a_restart_at_the_same_address(running: Postgres, *, immediate: bool) -> None:
    name = await running.create_database("surviving")
    await fetch(name, "create table kept as select 7 as n")
    await running.restart(immediate=immediate)

    assert await fetch(name, "select n from kept") == 7
    await running.drop_database("surviving")


async def test_while_stopped_nobody_is_let_in(running: Postgres) -> None:
    await running.stop()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncpg.connect(running.dsn())
    await running.start()


async def test_nothing_is_left_and_no_permission_changed_after_the_end() -> None:
    programs = Path(sys.executable).parents
    before = {path: stat.S_IMODE(path.stat().st_mode) for path in programs}
    async with postgres() as server:
        folder, dsn = server.folder, server.dsn()
        ancestors = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.parents}
        assert folder.exists()

    assert not folder.exists()
    assert before | ancestors == {path: stat.S_IMODE(path.stat().st_mode) for path in before | ancestors}
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncpg.connect(dsn)


def start_owner() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


async def test_the_server_and_its_folder_go_with_an_owner_killed_at_once() -> None:
    owner = start_owner()
    assert owner.stdout
    dsn, folder = (await asyncio.to_thread(owner.stdout.readline)).decode().split()
    assert await fetch(dsn, "select 1") == 1

    owner.kill()
    await asyncio.to_thread(owner.wait)
    owner.stdout.close()

    await until(lambda: asyncio.to_thread(lambda: not Path(folder).exists()))
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncpg.connect(dsn)


async def test_a_folder_whose_owner_and_guard_were_both_killed_is_removed_at_the_next_start() -> None:
    root = installation._temporary_root(installation.SystemUser.current())
    abandoned = root / f"{installation.PREFIX}abandoned-{os.getpid()}"
    (abandoned / "data").mkdir(parents=True)
    user = installation.SystemUser.current()
    user.owns(abandoned)

    with installation.home(18) as locked, installation.home(18):
        assert not abandoned.exists()
        locked.data.mkdir()
        with installation.home(18):
            assert locked.folder.exists()  # its owner lives: it holds the lock


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_out_of_a_private_home_the_programs_are_copied_so_that_nobody_can_run_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installation, "_open_to_all", lambda path: "site-packages" not in str(path))
    with installation.home(18) as at:
        assert at.folder in at.programs.parents
        nobody = at.user
        subprocess.run([at.programs / "initdb", "--version"], user=nobody.uid, group=nobody.gid, check=True)


async def test_a_server_that_cannot_start_says_why(running: Postgres) -> None:
    await running.stop()
    with listen("127.0.0.1", running.port), pytest.raises(ServerFailedError, match="Address already in use"):
        await running.start()
    await running.start()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.02)
