"""A real Postgres server in a temporary folder, reached over loopback, gone with its owner."""

import asyncio
import contextlib
import random
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from prebooking_local.postgres import guard, hosted
from prebooking_local.postgres.installation import Home, Version, home
from prebooking_local.serving import free_port

START_SECONDS = 90  # on a machine that is busy with other things, too
_CONNECT_SECONDS = 10
# Below the ports that systems hand out to outgoing connections, which would take ours during a restart.
PORTS = range(20000, 32000)


class ServerFailedError(RuntimeError):
    """The server ended by itself; its log says why."""


class Postgres:
    def __init__(self, at: Home, version: Version, port: int) -> None:
        self.version = version
        self.port = port
        self.folder = at.folder
        self._home = at
        self._password = secrets.token_hex(16)
        self._guard: subprocess.Popen[bytes] | None = None

    def dsn(self, database: str = "postgres", *, user: str = "postgres") -> str:
        """Returns the dsn for `postgres`, `authenticator` or, to do what hosted Supabase forbids, `supabase_admin`."""
        return f"postgresql://{user}:{self._password}@127.0.0.1:{self.port}/{database}"

    async def start(self) -> None:
        self._guard = self._spawn_guard()
        await self._until_ready(self._guard)

    def _spawn_guard(self) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "fsync": "off",  # faster, and the data still survives any crash but the machine's
            "timezone": "UTC",
        }
        server = [str(self._home.programs / "postgres"), "-D", str(self._home.data)]
        for name, value in settings.items():
            server += ["-c", f"{name}={value}"]
        user = self._home.user
        with self._home.log.open("ab") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-I", guard.__file__),
                    *(str(self._home.folder), str(user.uid), str(user.gid), *server),
                ],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(self._home.lock,),  # the folder stays locked until the guard is gone too
                start_new_session=True,  # a signal to the owner's group must not reach it
            )

    @property
    def log(self) -> Path:
        """Returns the server's log, through all its restarts."""
        return self._home.log

    async def stop(self, *, immediate: bool = False) -> None:
        """Stops the server: `immediate` as a crash would, else with a shutdown checkpoint. Its data stays."""
        if self._guard and self._guard.stdin:
            with contextlib.suppress(BrokenPipeError):  # the server crashed by itself, and the guard left
                self._guard.stdin.write(b"immediate\n" if immediate else b"fast\n")
            await self._dismiss_guard()

    async def restart(self, *, immediate: bool = False) -> None:
        await self.stop(immediate=immediate)
        await self.start()

    async def close(self) -> None:
        """Ends the server and its folder as an owner's death would."""
        await self._dismiss_guard()

    async def create_database(self, name: str, template: str | None = None) -> str:
        """Creates a database, empty as hosted Supabase's or a copy of another one; returns its dsn."""
        source = _quoted(template or "template1")
        await self._administer(f"create database {_quoted(name)} owner postgres template {source} strategy file_copy")
        return self.dsn(name)

    async def drop_database(self, name: str) -> None:
        await self._administer(f"drop database if exists {_quoted(name)} with (force)")

    async def _administer(self, statement: str) -> None:
        connection = await asyncpg.connect(self.dsn(user=hosted.SUPERUSER))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def furnish(self) -> None:
        """Makes the fresh server what hosted Supabase begins with."""
        for database in ("postgres", "template1"):
            connection = await asyncpg.connect(self.dsn(database, user=hosted.SUPERUSER))
            try:
                if database == "postgres":
                    await hosted.create_roles(connection, self._password)
                await hosted.grant_privileges(connection)
            finally:
                await connection.close()

    async def create_cluster(self) -> None:
        """Runs `initdb`."""
        password_file = self._home.folder / "password"
        password_file.write_text(self._password)
        self._home.user.owns(password_file)
        arguments = [
            *("-D", str(self._home.data), "-U", hosted.SUPERUSER, "--encoding=UTF8", "--no-sync"),
            *("--auth=scram-sha-256", f"--pwfile={password_file}"),
            # The password is random and long: stretching it only makes each connection slower.
            "--set=scram_iterations=1",
            *_locale(self.version),
        ]
        await asyncio.to_thread(_run, self._home, self._home.programs / "initdb", arguments)
        password_file.unlink()

    async def _until_ready(self, running: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                connection = await asyncpg.connect(self.dsn(user=hosted.SUPERUSER), timeout=_CONNECT_SECONDS)
            except (OSError, asyncpg.CannotConnectNowError) as exc:
                if running.poll() is not None or time.monotonic() > deadline:
                    said = self._home.log.read_text()[-2000:]  # it goes with the guard
                    await self._dismiss_guard()
                    raise ServerFailedError(said) from exc
                await asyncio.sleep(0.01)
            else:
                await connection.close()
                return

    async def _dismiss_guard(self) -> None:
        if self._guard and self._guard.stdin:
            self._guard.stdin.close()
            await asyncio.to_thread(self._guard.wait)
            self._guard = None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _locale(version: Version) -> list[str]:
    """Returns the locale of a hosted project: bytewise order, and a lower() that knows every letter."""
    if version == 16:
        return ["--locale=C", f"--lc-ctype={'UTF-8' if sys.platform == 'darwin' else 'C.UTF-8'}"]
    return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]


def _run(at: Home, program: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [str(program), *arguments],
        cwd=at.folder,
        capture_output=True,
        text=True,
        check=False,
        user=at.user.uid,
        group=at.user.gid,
        extra_groups=[] if at.user.is_other else None,
    )
    if done.returncode:
        raise ServerFailedError(done.stderr)


@asynccontextmanager
async def postgres(version: Version = 18) -> AsyncIterator[Postgres]:
    """Starts a fresh server."""
    with home(version) as at:
        server = Postgres(at, version, free_port(random.sample(PORTS, 100)))
        try:
            await server.create_cluster()
            await server.start()
            await server.furnish()
            yield server
        finally:
            await server.close()
