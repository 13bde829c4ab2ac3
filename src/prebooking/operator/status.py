"""The next openings and the last results."""

from typing import Any

from pydantic import TypeAdapter
from rich.console import Console

from prebooking.adapters.supabase.rpc import open_rpc
from prebooking.domain.prebooking import Prebooking
from prebooking.operator.inspection import Inspection, inspect
from prebooking.operator.rows_table import table_of_last, table_of_next
from prebooking.settings import Settings

_ROWS = TypeAdapter(tuple[Prebooking, ...])


async def ask(settings: Settings, limit: int) -> Inspection:
    """Raises StoreUnavailableError."""
    async with open_rpc(settings.supabase_url, settings.supabase_secret_key.get_secret_value(), "status") as rpc:
        return await inspect(rpc, settings.public_url, limit=limit)


def as_json(seen: Inspection) -> dict[str, Any]:
    return {
        "now": seen.now.isoformat(),
        "counts": dict(seen.counts),
        "estimated": list(seen.estimated),
        "next": _ROWS.dump_python(seen.next, mode="json"),
        "last": _ROWS.dump_python(seen.last, mode="json"),
    }


def show(seen: Inspection, out: Console) -> None:
    told = (
        f"{'about ' if status in seen.estimated else ''}{number} {status}"
        for status, number in sorted(seen.counts.items())
    )
    counts = ", ".join(told) or "no prebookings"
    out.print(f"{counts}; it is {seen.now:%H:%M:%S} UTC", highlight=False)
    for rows, table_of in ((seen.next, table_of_next), (seen.last, table_of_last)):
        if rows:
            out.print()
            out.print(table_of(rows, seen.now), highlight=False)
