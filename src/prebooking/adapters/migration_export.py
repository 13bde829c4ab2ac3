"""Exports `sql/` as timestamped files for `supabase db push` (`supabase/migrations/`)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prebooking.adapters.migrations import Script, compare, history_name, refuse_edited

_STAMP = "%Y%m%d%H%M%S"
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)  # where the folder has no migration: the names are the same for everybody
_NAME = re.compile(r"(\d{14})_.*\.sql")
_HEADER = re.compile(
    r"-- (\S+) of prebooking, sha256 (\w{64}): written by `prebooking migrate --export`, not to be edited\n"
)


def export(folder: Path) -> list[Path]:
    """Writes the files that the folder lacks, after all existing ones, and returns them in order.

    A changed file of functions is written again, as a later file; one that a newer release has written since stays.
    Raises MigrationChangedError if a migration was written before with another text.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    comparison = compare(_exported(files))
    refuse_edited(comparison)
    stamp = max((_stamp_of(path) + timedelta(seconds=1) for path in files), default=_FIRST)
    written = []
    for script in comparison.missing:
        path = folder / f"{stamp.strftime(_STAMP)}_prebooking_{script.name.rpartition('/')[2]}"
        path.write_text(_text(script), encoding="utf-8")
        written.append(path)
        stamp += timedelta(seconds=1)
    return written


def versions(folder: Path) -> list[str]:
    """Returns the timestamps of all files in the folder that `export` wrote, in order."""
    return [path.name.partition("_")[0] for path in sorted(folder.iterdir()) if _header_of(path)]


def _stamp_of(path: Path) -> datetime:
    return datetime.strptime(path.name[:14], _STAMP).replace(tzinfo=UTC)


def _exported(files: list[Path]) -> Mapping[str, str]:
    """Returns names and checksums, as a database would have recorded them."""
    recorded: dict[str, str] = {}
    for header in filter(None, map(_header_of, files)):
        name, checksum = header[1], header[2]
        if name in recorded:
            recorded[history_name(name, recorded[name])] = recorded[name]
        recorded.pop(history_name(name, checksum), None)
        recorded[name] = checksum
    return recorded


def _header_of(path: Path) -> re.Match[str] | None:
    if not _NAME.fullmatch(path.name):
        return None
    with path.open(encoding="utf-8") as file:
        return _HEADER.fullmatch(file.readline())


def _text(script: Script) -> str:
    header = (
        f"-- {script.name} of prebooking, sha256 {script.checksum}:"
        " written by `prebooking migrate --export`, not to be edited\n"
    )
    return f"{header}{script.text}\n-- `prebooking migrate` and `prebooking doctor` go by this.\n{script.record}"
