"""Pins the dependencies of pyproject.toml, with hashes: `make lock` (`make lock ARGS=--upgrade` takes newer versions).

All groups are resolved together, so that no package has two versions. Each group has a file of its own, because pip can
install a file but not a part of one, and lists only what the groups that it builds on do not bring along. Files are
installed with --no-deps: they are complete, and nothing that a registry offers later can change what is installed.
"""

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
OLDEST_PYTHON = "3.11"


@dataclass(frozen=True)
class Group:
    file: str
    arguments: tuple[str, ...]  #: what it is in pyproject.toml
    builds_on: tuple[str, ...] = ()


GROUPS = (
    Group("requirements.lock", ("pyproject.toml",)),
    Group(".requirements/local.lock", ("--extra", "local", "pyproject.toml"), ("requirements.lock",)),
    Group(".requirements/installer.lock", ("--group", "installer")),
    Group(".requirements/build.lock", ("--group", "build")),
    Group(
        ".requirements/dev.lock",
        ("--group", "dev"),
        ("requirements.lock", ".requirements/local.lock", ".requirements/build.lock"),
    ),
    Group(".requirements/audit.lock", ("--group", "audit")),
    Group(
        ".requirements/bench.lock",
        ("--group", "bench"),
        ("requirements.lock", ".requirements/local.lock", ".requirements/build.lock", ".requirements/dev.lock"),
    ),
)


def names_in(lock: str, *, unconditional: bool = False) -> set[str]:
    """The packages that a lock pins; `unconditional`: only those without an environment marker."""
    pins = re.findall(r"^([a-z0-9][a-z0-9._-]*)==\S+( ; )?", lock, re.MULTILINE)
    return {name for name, marker in pins if not (unconditional and marker)}


def compile_lock(*arguments: str, output: Path) -> None:
    command = [
        str(ROOT / ".venv/bin/uv"),
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--python-version",
        OLDEST_PYTHON,
    ]
    command += ["--generate-hashes", "--no-emit-index-url", "--custom-compile-command", "make lock"]
    subprocess.run([*command, *arguments, "--output-file", str(output)], cwd=ROOT, check=True)


def main(options: list[str]) -> None:
    """`options` go to the resolution of all groups together."""
    with tempfile.TemporaryDirectory() as folder:
        everything = Path(folder, "everything.txt")
        # What is pinned already stays, unless --upgrade is asked for.
        pinned = [(ROOT / group.file).read_text(encoding="utf-8") for group in GROUPS if (ROOT / group.file).exists()]
        everything.write_text("".join(pinned), encoding="utf-8")
        groups = [*dict.fromkeys(argument for group in GROUPS for argument in _pairs(group.arguments))]
        compile_lock(*options, *(word for pair in groups for word in pair), output=everything)
        for group in GROUPS:
            base = "".join((ROOT / file).read_text(encoding="utf-8") for file in group.builds_on)
            without = [f"--no-emit-package={name}" for name in sorted(names_in(base, unconditional=True))]
            fresh = Path(folder, "group.txt")
            compile_lock(f"--constraint={everything}", *group.arguments, *without, "--no-annotate", output=fresh)
            (ROOT / group.file).write_text(fresh.read_text(encoding="utf-8"), encoding="utf-8")
            fresh.unlink()
            print(f"{group.file}: {len(names_in((ROOT / group.file).read_text(encoding='utf-8')))} packages")


def _pairs(arguments: tuple[str, ...]) -> list[tuple[str, ...]]:
    """`--extra local pyproject.toml` as (("--extra", "local"), ("pyproject.toml",))."""
    options = [tuple(arguments[i : i + 2]) for i in range(0, len(arguments) - 1, 2)]
    return options if len(arguments) % 2 == 0 else [*options, (arguments[-1],)]


if __name__ == "__main__":
    main(sys.argv[1:])
