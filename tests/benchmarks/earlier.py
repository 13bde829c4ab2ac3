"""The service of an earlier commit of this repository, installed as it was then: with the packages of its own lock.

It works on the database that today's migrations made, since a replica of an earlier release serves beside one of this.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from tests.benchmarks.alone import Service
from tests.benchmarks.scene import Gym

_ROOT = Path(__file__).parents[2]
_UV = Path(sys.executable).with_name("uv")


@contextmanager
def earlier_service(revision: str) -> Iterator[type[Service]]:
    """Yields the contestant. Raises CalledProcessError where git has no such commit, or it can't be installed."""
    with tempfile.TemporaryDirectory(prefix="prebooking-earlier-") as name:
        folder = Path(name)
        checkout, python = folder / "checkout", folder / "venv/bin/python"
        _run("git", "worktree", "add", "--quiet", "--detach", checkout, revision)
        try:
            build = ("build", "--quiet", "--python", sys.executable, "--no-build-isolation", "--wheel")
            _run(_UV, *build, "--out-dir", folder, checkout)
            _run(_UV, "venv", "--quiet", "--python", sys.executable, folder / "venv")
            install = (_UV, "pip", "install", "--quiet", "--python", python, "--no-deps", "--compile-bytecode")
            _run(*install, "--only-binary", ":all:", "--require-hashes", "-r", checkout / "requirements.lock")
            _run(*install, *folder.glob("*.whl"))
        finally:
            _run("git", "worktree", "remove", "--force", checkout)

        class Earlier(Service):
            name = f"prebooking at {revision}"
            program = "earlier_service.py"
            gym: ClassVar[Gym] = "address"  # only today's service can be told which name server to ask
            settings: ClassVar = {"EARLIER_PYTHON": str(python)}

        yield Earlier


def _run(*command: str | Path) -> None:
    subprocess.run(command, cwd=_ROOT, check=True)
