"""What became of each mutant, as a table in README.md: generated, between two marks."""

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

_README = Path(__file__).with_name("README.md")
_BEGIN, _END = "<!-- mutants: begin -->", "<!-- mutants: end -->"
_LONGEST = 60


def write(lines: Sequence[str], *, most: int) -> None:
    """`most`: so many runs were made where nothing was found."""
    head, _, rest = _README.read_text().partition(_BEGIN)
    table = "\n".join(["| broken on purpose | runs | found as |", "|---|--:|---|", *lines])
    when = f"At {_commit()}, {datetime.now(UTC):%d %b %Y}, in at most {most} runs of 30 steps each:"
    _README.write_text(f"{head}{_BEGIN}\n\n{when}\n\n{table}\n\n{_END}{rest.partition(_END)[2]}")


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=_README.parent, capture_output=True, text=True, check=True).stdout.strip()


def shown(found: str) -> str:
    """Its first words, without what differs each time."""
    line = found.splitlines()[0]
    return (line.partition("{")[0] or line).rstrip(" ,:")[:_LONGEST] + " …"
