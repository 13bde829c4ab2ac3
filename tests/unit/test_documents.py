"""The documents are true: their links lead somewhere, their commands and settings exist, and the README is short."""

import re
from pathlib import Path

import pytest
import typer

from prebooking.cli.app import app
from prebooking.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", ".github/*.md", "sql/*.md", "src/**/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_COMMANDS = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # a group of commands
_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", without_code(document.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_leads_to_a_file_and_a_heading_that_are_there(document: Path) -> None:
    wrong = []
    for link in _LINK.findall(without_code(document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_command_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text))
    assert set(re.findall(r"^make ([a-z]+)", code, re.MULTILINE)) - _TARGETS == set()
    assert set(re.findall(r"(?:^|/)prebooking ([a-z][a-z-]+)", code, re.MULTILINE)) - _COMMANDS == set()
    for module in re.findall(r"python -m (tests\.[\w.]+)", code):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), module


@pytest.mark.parametrize(
    "path",
    re.findall(
        r"`((?:sql|domain|usecases|adapters|web|settings)/[\w/.]+)`",
        (ROOT / "src/prebooking/README.md").read_text(encoding="utf-8"),
    ),
)
def test_each_file_of_the_architecture_is_there(path: str) -> None:
    assert (ROOT / "src/prebooking" / path).exists()


def test_each_setting_that_is_named_is_one() -> None:
    settings = {name.upper() for name in Settings.model_fields}
    text = "".join(
        path.read_text(encoding="utf-8") for path in DOCUMENTS if "src/" in str(path) or path.name == "README.md"
    )
    named = set(re.findall(r"`((?:QSTASH|SUPABASE|AIMHARDER|NOTIFY|MAX|LEGACY|SESSION)_[A-Z_0-9]+)(?:=[^`]*)?`", text))
    assert named - settings == set()


def test_the_readme_has_at_most_900_words() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900
