"""`prebooking status`: the next openings and the last results."""

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


def as_json(inspection: Inspection) -> dict[str, Any]:
    return {
        "now": inspection.now.isoformat(),
        "counts": dict(inspection.counts),
        "estimated": list(inspection.estimated),
        "series": inspection.series,
        "next": _ROWS.dump_python(inspection.next, mode="json", by_alias=True),
        "last": _ROWS.dump_python(inspection.last, mode="json", by_alias=True),
    }


def show(inspection: Inspection, out: Console) -> None:
    parts = (
        f"{'about ' if status in inspection.estimated else ''}{number} {status}"
        for status, number in sorted(inspection.counts.items())
    )
    counts = ", ".join(parts) or "no prebookings"
    if inspection.series:
        counts += f"; {inspection.series} series"
    out.print(f"{counts}; it is {inspection.now:%H:%M:%S} UTC", highlight=False)
    for rows, table_of in ((inspection.next, table_of_next), (inspection.last, table_of_last)):
        if rows:
            out.print()
            out.print(table_of(rows, inspection.now), highlight=False)
