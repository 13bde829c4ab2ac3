"""The README's first command works with each pip and Python that is promised, and names what a machine lacks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.installation.environments import ROOT, copy_checkout, run

pytestmark = pytest.mark.installation

# The one that came with Python 3.11.0, the oldest that is promised, and the newest.
OLDEST = "pip==22.3 --hash=sha256:1daab4b8d3b97d1d763caeb01a4640a2250a0ea899e257b1e44b9eded91e15ab"
NEWEST = "pip"


def python_with(folder: Path, requirement: str) -> Path:
    """A Python whose virtual environments have that pip."""
    (folder / "pip.txt").write_text(requirement, encoding="utf-8")
    wrapper = folder / "python3"
    wrapper.write_text(
        f"""#!/bin/sh
{sys.executable} "$@" || exit
if [ "$1 $2" = "-m venv" ]; then
  for last; do :; done
  "$last/bin/python" -m pip install --quiet --upgrade -r {folder}/pip.txt
fi
""",
        encoding="utf-8",
    )
    wrapper.chmod(0o755)
    return wrapper


@pytest.mark.parametrize("requirement", [OLDEST, NEWEST], ids=["oldest", "newest"])
def test_the_demo_runs_with_that_pip(requirement: str, tmp_path: Path) -> None:
    checkout, python = copy_checkout(tmp_path), python_with(tmp_path, requirement)
    told = run("make", "demo", f"PYTHON={python}", cwd=checkout)

    assert "30 of 30 booked, each exactly once" in " ".join(told.split())
    if requirement is OLDEST:
        assert "pip 22.3 " in run(checkout / ".venv/bin/python", "-m", "pip", "--version", cwd=checkout)


def old_pythons() -> list[str]:
    """Those on this machine that are too old."""
    names = [f"python3.{minor}" for minor in range(6, 11)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    there = [path for name in names if (path := shutil.which(name))]
    return there + [str(path) for minor in range(6, 11) for path in pyenv.glob(f"3.{minor}.*/bin/python3")]


def test_too_old_a_python_is_named_with_what_to_do(tmp_path: Path) -> None:
    working = [path for path in old_pythons() if subprocess.run([path, "-c", ""], check=False).returncode == 0]
    if not working:
        pytest.skip("no Python older than 3.11 is on this machine")
    checkout = copy_checkout(tmp_path)
    for python in working:
        told = run("make", "install", f"PYTHON={python}", cwd=checkout, code=2)
        assert "error: Python 3.11 or later is needed" in told
        assert "make demo PYTHON=python3.12" in told
        assert not (checkout / ".venv").exists()


def test_a_python_without_its_venv_module_is_named_with_the_package_that_brings_it(tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ModuleNotFoundError('ensurepip')", encoding="utf-8")

    told = run(
        sys.executable, ROOT / ".requirements/python.py", cwd=tmp_path, code=1, env={"PYTHONPATH": str(tmp_path)}
    )

    assert f"sudo apt install python3.{sys.version_info.minor}-venv" in told
    assert "Traceback" not in told


def test_a_missing_python_is_named_with_the_package_that_brings_it(tmp_path: Path) -> None:
    told = run("make", "install", "PYTHON=python3.99", cwd=copy_checkout(tmp_path), code=2)

    assert "there is no python3.99" in told
    assert "sudo apt install python3" in told
