"""Whoever follows a path to a test that a comment or a document names finds it."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"(?<![\w/.])tests/[\w/]+\.(?:py|md|sql|c)\b")


def test_each_test_that_is_named_somewhere_is_there() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    missing = {
        f"{name}: {path}"
        for name in listed.split("\0")
        if name.endswith((".py", ".md", ".sql", ".toml", "Makefile", "run")) and (ROOT / name).is_file()
        for path in NAMED.findall((ROOT / name).read_text())
        if not (ROOT / path).exists()
    }
    assert missing == set()
