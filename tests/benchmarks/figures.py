"""Where the figures of a run are kept."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

_FOLDER = Path(__file__).parent / "results"


def keep(name: str, measured: Sequence[Any], draw: Callable[[Path], None], out: Console) -> None:
    """Writes dataclasses as JSON, and the drawing of them."""
    _FOLDER.mkdir(exist_ok=True)
    path = _FOLDER / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    path.with_suffix(".json").write_text(json.dumps([asdict(one) for one in measured], indent=1))
    draw(path.with_suffix(".svg"))
    out.print(f"Kept in {path}.json and .svg")
