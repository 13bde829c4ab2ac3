"""The command line: what a person can mend is told in their words, without a trace, and without a secret."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest
from tests.support.captured_logs import log_restored
from tests.support.world import Outside, open_world

from prebooking.cli import main
from prebooking.settings import MigrationSettings, Settings
from prebooking_local.postgres import Postgres
from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN

ANA = "ana@example.com"
NAMES = {name.upper() for kind in (Settings, MigrationSettings) for name in kind.model_fields} | {
    "SUPABASE_SERVICE_ROLE_KEY"
}
NOWHERE = "http://127.0.0.1:1"  # nobody listens there
COMPLETE = {
    "SUPABASE_URL": NOWHERE,
    "SUPABASE_SECRET_KEY": "sb_secret_topsecret",
    "QSTASH_URL": NOWHERE,
    "QSTASH_TOKEN": DEV_TOKEN,
    "QSTASH_CURRENT_SIGNING_KEY": DEV_CURRENT_KEY,
    "QSTASH_NEXT_SIGNING_KEY": DEV_NEXT_KEY,
    "PUBLIC_URL": NOWHERE,
}


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: object
    out: str
    err: str

    def assert_told(self, *lines: str) -> None:
        """One line each, whole however long, and no trace."""
        assert self.code == 1
        told = self.err.splitlines()
        assert len(told) == len(lines), self.err
        for line, start in zip(told, lines, strict=True):
            assert line.startswith(start)
        assert "topsecret" not in self.err


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Ran]:
    """Runs a command that ends, in this process."""

    def run(*arguments: str, **settings: str) -> Ran:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["prebooking", *arguments])
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        with log_restored(), pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return Ran(ended.value.code, told.out, told.err)

    return run


async def run(folder: Path, command: str, *arguments: str, **settings: str) -> Ran:
    return await python(folder, "-m", "prebooking", command, *arguments, **settings)


async def python(folder: Path, *arguments: str, **settings: str) -> Ran:
    """In a process of its own, with nothing but these settings."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env={name: value for name, value in os.environ.items() if name not in NAMES} | settings,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Ran(process.returncode, out.decode(), err.decode())


_SERVE = """
import sys, uvicorn
uvicorn.run = lambda *_, **__: print(*sys.modules)
sys.argv = ["prebooking", "serve"]
from prebooking.cli import main
main()
"""


async def test_the_service_loads_no_library_of_the_terminal_and_none_of_calendars(tmp_path: Path) -> None:
    """Other libraries load rich where it is installed, and the first calendar that is read loads icalendar."""
    loaded = (await python(tmp_path, "-c", _SERVE, **COMPLETE | {"PORT": "0"})).out.split()
    assert "prebooking.main" in loaded
    assert not {"rich", "pygments", "icalendar"} & set(loaded)


@pytest.mark.parametrize("command", ["serve", "sweep", "schedule-sweep"])
def test_each_missing_setting_is_named_in_a_line_of_its_own(here: Callable[..., Ran], command: str) -> None:
    first, *rest = COMPLETE
    told = here(command, **{name: value for name, value in COMPLETE.items() if name in rest})
    told.assert_told(f"Not started. {first} is missing: set it in the environment or in .env (.env.example says")
    others = [name for name in rest if name != "QSTASH_URL"]
    here(command).assert_told(f"Not started. {first} is missing", *(f"{name} is missing" for name in others))


def test_a_wrong_setting_is_named_without_what_it_held(here: Callable[..., Ran]) -> None:
    here("sweep", **COMPLETE | {"SERVICE_API_KEY": "topsecret"}).assert_told("Not started. SERVICE_API_KEY: ")
    here("sweep", **COMPLETE | {"MAX_DURATION_SECONDS": "inf"}).assert_told("Not started. MAX_DURATION_SECONDS: ")
    here("serve", **COMPLETE | {"LEAD_SECONDS": "9"}).assert_told("Not started. LEAD_SECONDS=9 leaves too little")


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "sweep",
        "schedule-sweep",
        "doctor",
        "status",
        "show 0c8f6b52-5d0f-4c9a-9f0e-2f6b1f4f7a11",
        "dlq",
        "encrypt-sessions",
        "release-email ana@example.com",
    ],
)
async def test_a_key_log_that_can_not_be_written_is_named_by_each_command(tmp_path: Path, command: str) -> None:
    """The HTTP clients open it when they are imported."""
    key_log = str(tmp_path / "missing" / "keys.log")
    told = await run(tmp_path, *command.split(), **COMPLETE | {"SSLKEYLOGFILE": key_log, "COLUMNS": "200"})
    assert told.code == 1
    assert "SSLKEYLOGFILE can't be opened (No such file or directory)" in told.out + told.err
    assert "correct or unset it" in told.out + told.err
    assert "Traceback" not in told.err


def test_scheduling_the_sweep_without_qstash_says_so(here: Callable[..., Ran]) -> None:
    here("schedule-sweep", **COMPLETE).assert_told("Failed. QStash, schedule: ")


async def test_the_sweep_can_be_left_to_qstash(outside: Outside, tmp_path: Path) -> None:
    told = await run(tmp_path, "schedule-sweep", **COMPLETE | {"QSTASH_URL": outside[1].url, "COLUMNS": "200"})
    assert (told.code, told.err) == (0, "")
    assert f"QStash calls {NOWHERE}/qstash/sweep every 2 min" in told.out
    headers = {"Authorization": f"Bearer {DEV_TOKEN}"}
    async with httpx.AsyncClient(base_url=f"{outside[1].url}/v2/schedules/", headers=headers) as http:
        assert (await http.get("prebooking-sweep")).json()["cron"] == "*/2 * * * *"
        await http.delete("prebooking-sweep")


async def test_an_e_mail_is_released_by_its_address(
    database: asyncpg.Connection, outside: Outside, tmp_path: Path
) -> None:
    await database.execute("insert into prebooking.email_owners (email, sub) values ('ana@example.com', '1')")
    await database.execute(
        "insert into public.prebookings (user_email, booking_data, available_at)"
        " values ('Ana@example.com', '{}', now() + interval '1 day')"
    )
    gateway = outside[0]
    gateway.faults.set()
    settings = COMPLETE | {"SUPABASE_URL": gateway.url, "SUPABASE_SECRET_KEY": gateway.secret_key, "COLUMNS": "200"}

    first, second = [
        await run(tmp_path, "release-email", address, **settings) for address in (" ANA@example.com", "x@y")
    ]
    assert (first.code, first.err) == (0, "")
    assert "It belonged to an account, and is free now. Prebookings cancelled: 1. Sessions forgotten: 0." in first.out
    assert "It belonged to no account. Prebookings cancelled: 0." in second.out
    (await run(tmp_path, "release-email", "ana", **settings)).assert_told("Nothing released. 'ana' is not an e-mail")
    assert await database.fetchval("select status from public.prebookings") == "cancelled"


async def test_what_a_system_says_is_told_without_the_secret_that_it_quotes(tmp_path: Path) -> None:
    async def quote(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        token = head.lower().partition("authorization: bearer ")[2].partition("\r\n")[0]
        said = f'{{"error": "no such user: {token}"}}'
        assert len(token) > 20
        writer.write(f"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: {len(said)}\r\n\r\n".encode())
        writer.write(said.encode())
        await writer.drain()
        writer.close()

    token = "topsecret-of-qstash-0123"
    async with await asyncio.start_server(quote, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        told = await run(tmp_path, "schedule-sweep", **COMPLETE | {"QSTASH_URL": url, "QSTASH_TOKEN": token})
    told.assert_told("Failed. QStash, schedule: ")
    assert "no such user: [QSTASH_TOKEN]" in told.err


def test_a_sweep_without_a_database_says_so(here: Callable[..., Ran]) -> None:
    told = here("sweep", **COMPLETE)
    told.assert_told("Failed. sweep_prebookings: ")
    assert told.err.endswith(": `prebooking doctor` says what to correct.\n")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:topsecret@127.0.0.1:1/x",
        "postgresql://u:topsecret@127.0.0.1:port/x",
        "postgresql://u:topsecret@[/x",
        "postgresql://u:topsecret@127.0.0.1:1/x?sslmode=[/red]",
    ],
)
def test_a_database_that_can_not_be_reached_is_told_in_a_line(here: Callable[..., Ran], url: str) -> None:
    here("migrate", DATABASE_URL=url).assert_told("Not migrated. ")


def test_a_migration_without_a_database_names_its_setting(here: Callable[..., Ran]) -> None:
    for url in ("mysql://u:topsecret@127.0.0.1/x", "topsecret"):
        here("migrate", DATABASE_URL=url).assert_told("Not started. DATABASE_URL: must be a connection string")
    for settings in ({}, {"DATABASE_URL": ""}):
        here("migrate", **settings).assert_told("Not started. DATABASE_URL is missing")


def test_where_it_can_not_listen_is_told_by_the_names_of_the_settings(here: Callable[..., Ran]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        here("serve", **COMPLETE | {"PORT": port}).assert_told(f"Not started. HOST=127.0.0.1 with PORT={port} can't be")
    here("serve", **COMPLETE | {"HOST": "192.0.2.1"}).assert_told("Not started. HOST=192.0.2.1 with PORT=8000 can't be")


def test_a_setting_that_a_platform_sets_is_named(here: Callable[..., Ran]) -> None:
    borrowed = {"PUBLIC_URL": "", "RENDER_EXTERNAL_URL": "https://mine.onrender.com"}
    here("sweep", **COMPLETE | borrowed).assert_told(
        "PUBLIC_URL is not set: its value comes from RENDER_EXTERNAL_URL.", "Failed. sweep_prebookings: "
    )


async def test_a_database_that_refuses_names_what_to_correct_in_its_setting(server: Postgres, tmp_path: Path) -> None:
    dsn = await server.create_database("refusing")
    base = dsn.rpartition("/")[0]
    host = base.rpartition("@")[2]
    for url, fix in (
        ("postgresql://postgres:topsecret@127.0.0.1:1/x", "the host of DATABASE_URL does not respond"),
        (f"{base}/nowhere", "correct the name at the end of DATABASE_URL"),
        (f"postgresql://nobody:topsecret@{host}/postgres", "check user and password in DATABASE_URL"),
        ("postgresql://postgres:p@topsecret.invalid/x", "percent-encode its user and password"),
        ("postgresql://postgres:[YOUR-PASSWORD]@db.abc.supabase.co/x", "DATABASE_URL: has a placeholder"),
        ("postgresql://postgres:<password>@db.abc.supabase.co/x", "DATABASE_URL: has a placeholder"),
    ):
        told = await run(tmp_path, "migrate", DATABASE_URL=url)
        assert told.code == 1
        assert fix in told.err.replace("\n", " "), told.err


async def test_migrating_twice_applies_each_file_once_and_refuses_an_edited_one(
    server: Postgres, tmp_path: Path
) -> None:
    dsn = await server.create_database("migrated_by_hand")
    first, second = [await run(tmp_path, "migrate", DATABASE_URL=dsn) for _ in range(2)]

    applied = [line.split()[1] for line in first.out.splitlines() if line.startswith("applied ")]
    assert (applied[0], applied[-1]) == ("migrations/0001_baseline.sql", "functions/99_grants.sql")
    assert first.out.splitlines()[-1] == second.out.strip() == "The database is up to date."
    assert (first.code, second.code, first.err, second.err) == (0, 0, "", "")

    connection = await asyncpg.connect(dsn)
    await connection.execute("update prebooking.migrations set checksum = 'x' where name like '%/0001%'")
    await connection.close()
    edited = await run(tmp_path, "migrate", DATABASE_URL=dsn)
    edited.assert_told("Not migrated. migrations/0001_baseline.sql was applied in another wording: restore it and put")


async def test_a_sweep_does_once_what_there_is_to_do(
    database: asyncpg.Connection, outside: Outside, tmp_path: Path
) -> None:
    async with open_world(database, *outside, sweep_seconds=0) as world:
        world.qstash.qstash.faults.change({"api_status": {"value": 500, "next": 1}})
        row = await world.prebook(ANA, datetime.now(UTC) + timedelta(hours=5))
        await database.execute("update public.prebookings set armed_at = armed_at - interval '10 seconds'")
        systems = {
            "SUPABASE_URL": world.gateway.url,
            "SUPABASE_SECRET_KEY": world.gateway.secret_key,
            "QSTASH_URL": world.qstash.url,
            "PUBLIC_URL": world.url,
        }
        ran = await run(tmp_path, "sweep", **COMPLETE | systems)

        assert (ran.code, ran.out) == (0, "Found 0 to execute, 0 to settle, 1 without a message.\n")
        assert (await world.read(ANA, row["id"]))["qstash_schedule_id"]


def test_migrations_are_exported_for_supabase_without_any_setting(here: Callable[..., Ran], tmp_path: Path) -> None:
    first, second = [here("migrate", "--export", "supabase/migrations") for _ in range(2)]
    wrote = [line for line in first.out.splitlines() if line.startswith("wrote ")]
    written = sorted(path.name for path in (tmp_path / "supabase/migrations").iterdir())
    assert [line.rpartition("/")[2] for line in wrote] == written
    marks = " ".join(name.partition("_")[0] for name in written)
    for ran in (first, second):
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.splitlines()[-1] == f"supabase migration repair --status applied {marks}"
    assert "wrote" not in second.out
