"""A clean checkout, and virtual environments that know nothing of the one that the tests run in."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's, without what would lead an installation back to the tests' own Python."""
    inherited = {name: value for name, value in os.environ.items() if not re.match(r"PYTHON|VIRTUAL_ENV|COV", name)}
    return {**inherited, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **changes}


def run(*command: str | Path, cwd: Path, code: int = 0, env: Mapping[str, str] = MappingProxyType({})) -> str:
    """Returns what a command prints to both outputs. Fails with that, unless it ends with `code`.

    `env` is added to the environment.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def copy_checkout(folder: Path) -> Path:
    """What git knows of this checkout, as it lies here: a clone before its commit."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    there = [name for name in listed if name and (ROOT / name).exists()]
    (folder / "list").write_text("\0".join(there), encoding="utf-8")
    (folder / "checkout").mkdir()
    run("sh", "-c", f"tar -c --null -T '{folder}/list' | tar -x -C '{folder}/checkout'", cwd=ROOT)
    return folder / "checkout"


def pinned(*locks: str) -> dict[str, str]:
    """Versions by package, as the lock files name them for this system and Python."""
    text = "".join((ROOT / lock).read_text(encoding="utf-8") for lock in locks)
    pins = re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)(?: ; (.*))? \\$", text, re.MULTILINE)
    return {name: version for name, version, marker in pins if "win32" not in marker}


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    def installed(self) -> dict[str, str]:
        """Versions by package, but for pip and what pip brought."""
        script = (
            "from importlib.metadata import distributions\n"
            "for found in distributions(): print(found.metadata['Name'], found.version)"
        )
        lines = run(self.folder / "bin/python", "-I", "-c", script, cwd=self.folder).splitlines()
        versions = dict(line.split() for line in lines)
        names = {name: re.sub(r"[-_.]+", "-", name).lower() for name in versions}
        return {names[name]: versions[name] for name in names if names[name] not in ("pip", "setuptools", "prebooking")}

    def prebooking(
        self, *arguments: str, cwd: Path, code: int = 0, env: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        return run(self.folder / "bin/prebooking", *arguments, cwd=cwd, code=code, env=env)


def new_environment(folder: Path) -> Environment:
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    return Environment(folder)


def install(target: Environment, *arguments: str | Path) -> None:
    """By the uv of the tests' environment: --no-deps, as everything here is."""
    uv = ROOT / ".venv/bin/uv"
    run(uv, "pip", "install", "--quiet", "--no-deps", "--python", target.folder / "bin/python", *arguments, cwd=ROOT)
