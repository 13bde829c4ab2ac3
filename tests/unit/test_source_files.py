"""A source file can be read in one sitting."""

from pathlib import Path

_SRC = Path(__file__).parents[2] / "src"
_LONGEST = 250


def test_no_source_file_is_longer_than_can_be_read_at_once() -> None:
    lengths = {path.relative_to(_SRC): len(path.read_text().splitlines()) for path in _SRC.rglob("*.py")}
    assert {path: lines for path, lines in lengths.items() if lines > _LONGEST} == {}
