"""The recipes of .deploy/ do what they say, as far as a machine without a container engine can tell."""

import re
import shutil
from pathlib import Path

import pytest
from tests.installation.environments import ROOT, install, new_environment, run
from tests.installation.serving import answers, serving

pytestmark = pytest.mark.installation

DOCKERFILE = (ROOT / ".deploy/Dockerfile").read_text(encoding="utf-8")
UNITS = ROOT / ".deploy/systemd"


def instructions(name: str) -> list[str]:
    """Those of the Dockerfile, continued lines joined."""
    return re.findall(rf"^{name} (.*)$", DOCKERFILE.replace("\\\n", " "), re.MULTILINE)


def test_systemd_takes_both_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    program = tmp_path / "prebooking"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    for unit in UNITS.iterdir():
        text = unit.read_text(encoding="utf-8").replace("/opt/prebooking/bin/prebooking", str(program))
        (tmp_path / unit.name).write_text(text, encoding="utf-8")

    told = run("systemd-analyze", "verify", *(tmp_path / unit.name for unit in UNITS.iterdir()), cwd=tmp_path)

    assert [line for line in told.splitlines() if "prebooking" in line] == []


def test_the_database_owners_password_is_known_where_migrate_runs_and_nowhere_else() -> None:
    service = (UNITS / "prebooking.service").read_text(encoding="utf-8")
    migrate = (UNITS / "prebooking-migrate.service").read_text(encoding="utf-8")

    assert "migrate.env" not in service
    assert "EnvironmentFile=/etc/prebooking.env" not in migrate
    assert re.search(r"^ExecStart=\S+ migrate$", migrate, re.MULTILINE)
    assert not any(
        "DATABASE_URL" in line for line in (*instructions("ENV"), *instructions("ARG"), *instructions("CMD"))
    )


def test_the_container_runs_unprivileged_and_is_checked() -> None:
    assert instructions("USER") == ["prebooking"]
    assert DOCKERFILE.index("\nUSER ") < DOCKERFILE.index("\nCMD ")
    [check] = instructions("HEALTHCHECK")
    assert "/healthz" in check
    assert "--timeout" in check


def test_the_container_is_given_what_its_steps_need_and_no_tests() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    needed = {"requirements.lock", "pyproject.toml", "README.md", "src", "sql", ".requirements", ".deploy/install"}

    assert ignored[0] == "*"
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == needed


def test_vercel_starts_the_entry_with_the_pinned_packages(tmp_path: Path) -> None:
    folder, target = tmp_path / "deployment", new_environment(tmp_path / "venv")
    run(ROOT / ".deploy/vercel/assemble", folder, cwd=tmp_path)
    install(target, "--only-binary", ":all:", "--require-hashes", "-r", folder / "requirements.txt")

    with serving([target.folder / "bin/uvicorn", "--lifespan", "on", "index:app", "--port", "{port}"], folder) as url:
        assert answers(f"{url}/healthz").status_code == 200
        assert answers(f"{url}/openapi.json").json()["info"]["title"] == "Prebooking"
