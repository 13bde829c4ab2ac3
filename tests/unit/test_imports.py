"""The direction of the arrows, and that each outside system's library has one home."""

import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("prebooking", "prebooking_local", include_external_packages=True, cache_dir=None)


def test_the_contracts_of_the_house_hold(capsys: pytest.CaptureFixture[str]) -> None:
    code = lint_imports(config_filename=str(PYPROJECT), no_cache=True)
    told = capsys.readouterr().out
    assert code == 0, told
    assert "10 kept, 0 broken" in told


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("supabase", {"adapters.supabase.rpc"}),
        ("qstash", {"adapters.qstash.messages", "adapters.qstash.account", "adapters.qstash.client"}),
        ("httptools", {"adapters.http11.connection"}),
        (
            "httpx",
            {
                *(f"adapters.http11.{name}" for name in ("client", "connection", "tunnel", "limited_body")),
                *(f"adapters.aimharder.{name}" for name in ("gym", "held_http", "session_client")),
                *("adapters.host_probe", "adapters.qstash.messages", "adapters.qstash.client", "adapters.supabase.rpc"),
                *("adapters.tls", "adapters.key_set", "adapters.sdk_client"),
            },
        ),
        ("aiohappyeyeballs", {"adapters.http11.client"}),
        ("pycares", {"adapters.aimharder.c_ares"}),
        ("icalendar", {"adapters.icalendar_file"}),
        ("asyncpg", {"adapters.migrations", "cli.database"}),
        ("jwt", {"settings.validators", "web.auth", "web.qstash_signature", "adapters.key_set"}),
        ("prometheus_client", {"adapters.prometheus"}),
        ("standardwebhooks", {"adapters.qstash.notice_webhook"}),
    ],
)
def test_a_library_of_the_outside_is_imported_by_its_home_alone(
    graph: grimp.ImportGraph, library: str, homes: set[str]
) -> None:
    importers = {name.removeprefix("prebooking.") for name in graph.find_modules_that_directly_import(library)}
    assert {name for name in importers if not name.startswith("prebooking_local")} == homes


def test_nothing_but_the_command_line_knows_the_composition_root_or_a_stand_in(graph: grimp.ImportGraph) -> None:
    assert graph.find_modules_that_directly_import("prebooking.main") == {"prebooking.cli.service"}
    assert graph.find_modules_that_directly_import("prebooking.composition") == {
        "prebooking.main",
        "prebooking.cli.service",
    }
    outside = {name for name in graph.modules if not name.startswith("prebooking_local")}
    stand_ins = {name for name in graph.modules if name.startswith("prebooking_local")}
    importers = {one for name in stand_ins for one in graph.find_modules_that_directly_import(name)}
    assert importers & outside == {"prebooking.cli.local"}


@pytest.mark.parametrize("module", ["prebooking.main", "prebooking.web.app", "prebooking.cli"])
def test_the_application_is_imported_without_the_server_that_may_run_it(module: str) -> None:
    """Another ASGI server runs the same application, also on a system without Unix's resource limits."""
    program = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"uvicorn", "prebooking.server"} & set(done.stdout.split())
