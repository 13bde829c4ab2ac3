"""The direction of the arrows, and that each outside system's library has one home."""

from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("prebooking", include_external_packages=True, cache_dir=None)


def test_the_contracts_of_the_house_hold(capsys: pytest.CaptureFixture[str]) -> None:
    code = lint_imports(config_filename=str(PYPROJECT), no_cache=True)
    told = capsys.readouterr().out
    assert code == 0, told
    assert "9 kept, 0 broken" in told


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("supabase", {"adapters.supabase_rpc"}),
        ("qstash", {"adapters.qstash", "adapters.qstash_account", "adapters.qstash_client"}),
        ("httpcore", {"adapters.held_http"}),
        (
            "httpx",
            {
                *("adapters.aimharder", "adapters.capped", "adapters.held_http", "adapters.hosts"),
                *("adapters.qstash", "adapters.qstash_client", "adapters.supabase_rpc"),
                *("adapters.tls", "web.key_set"),
            },
        ),
        ("aiohappyeyeballs", {"adapters.held_http"}),
        ("pycares", {"adapters.c_ares"}),
        ("asyncpg", {"adapters.migrations", "cli"}),
        ("jwt", {"setting_kinds", "web.auth", "web.deliveries", "web.key_set"}),
        ("prometheus_client", {"adapters.prometheus"}),
        ("standardwebhooks", {"adapters.webhook"}),
    ],
)
def test_a_library_of_the_outside_is_imported_by_its_home_alone(
    graph: grimp.ImportGraph, library: str, homes: set[str]
) -> None:
    importers = {name.removeprefix("prebooking.") for name in graph.find_modules_that_directly_import(library)}
    assert {name for name in importers if not name.startswith("local.")} == homes


def test_nothing_but_the_command_line_knows_the_composition_root_or_a_stand_in(graph: grimp.ImportGraph) -> None:
    assert graph.find_modules_that_directly_import("prebooking.main") == {"prebooking.cli"}
    outside = {name for name in graph.modules if not name.startswith("prebooking.local")}
    stand_ins = {name for name in graph.modules if name.startswith("prebooking.local")}
    importers = {one for name in stand_ins for one in graph.find_modules_that_directly_import(name)}
    assert importers & outside == {"prebooking.cli"}
