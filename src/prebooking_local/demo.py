"""30 members want one class that opens in 10 s. Who was booked, how late did each request leave and arrive?

The verdict comes only from the records of the gym and the database, never from the service itself.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from prebooking_local.opening import Opening, members
from prebooking_local.stack import Member, Ports, Stack, local_stack

_MEMBERS = 30
_OPENS_IN_S = 10


async def demo(out: Console, *, count: int = _MEMBERS, opens_in_s: float = _OPENS_IN_S) -> int:
    """Returns the exit code: 0 only if the ledgers agree that each was booked exactly once, and none too early."""
    crowd = members(count)
    out.print(f"Starting Postgres, Supabase's gateway, QStash, AimHarder and the service for {count} members …")
    async with local_stack(Ports(0, 0, 0, 0), crowd, LOG_LEVEL="WARNING") as stack:
        await stack.enrol(crowd)
        opening = Opening(stack, opens_in_s)
        await opening.announce(capacity=count)
        wishes = [(member, await opening.prebook(member)) for member in crowd]
        out.print(f"{count} prebookings stand. The class opens at {opening.at:%H:%M:%S} UTC.")
        await _count_down(opening, out)
        rows = await opening.results(wishes)
        arrivals = await _arrivals(stack, opening)
        out.print(_table(crowd, rows, arrivals, opening))
        faults = await _disagreements(stack, crowd, arrivals)
    _conclude(out, rows, arrivals, faults)
    return 1 if faults else 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A booking request as the gym saw it, in milliseconds after the opening."""

    member: str
    first_byte_ms: float
    last_byte_ms: float


async def _count_down(opening: Opening, out: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=out, transient=False) as progress:
        whole = opening.seconds_left()
        task = progress.add_task("until the opening", total=whole, left="")
        while (left := opening.seconds_left()) > 0:
            progress.update(task, completed=whole - left, left=f"{left:4.1f} s")
            await asyncio.sleep(min(0.1, left))
        progress.update(task, completed=whole, left="open  ")


async def _arrivals(stack: Stack, opening: Opening) -> list[Arrival]:
    """Returns the arrivals by the gym's own stamps, in their order."""
    opened = int(opening.at.timestamp()) * 1_000_000_000
    ledger = (await stack.control(stack.aimharder_url, "ledger"))["requests"]
    found = [
        Arrival(entry["member"], (entry["first_byte_ns"] - opened) / 1e6, (entry["last_byte_ns"] - opened) / 1e6)
        for entry in ledger
        if entry["path"] == "/api/book"
    ]
    return sorted(found, key=lambda arrival: arrival.last_byte_ms)


def _table(crowd: list[Member], rows: list[dict[str, Any]], arrivals: list[Arrival], opening: Opening) -> Table:
    table = Table(title=f"The opening of {opening.at:%H:%M:%S} UTC, in the order in which they asked for it")
    table.add_column("asked", justify="right")
    table.add_column("member")
    table.add_column("outcome")
    table.add_column("left after ms", justify="right")
    table.add_column("at the gym after ms", justify="right")
    table.add_column("place", justify="right")
    places = {arrival.member: (place, arrival) for place, arrival in enumerate(arrivals, 1)}
    for asked, (member, row) in enumerate(zip(crowd, rows, strict=True), 1):
        result = row["result"] or {"outcome": row["status"], "timings": {"fire_lateness_ms": None}}
        left = result["timings"]["fire_lateness_ms"]
        place, arrival = places.get(member.email, (None, None))
        booked = row["status"] == "completed"
        table.add_row(
            str(asked),
            member.name,
            f"[{'green' if booked else 'red'}]{result['outcome']}[/]",
            "-" if left is None else f"{left:.2f}",
            "-" if arrival is None else f"{arrival.last_byte_ms:.2f}",
            "-" if place is None else str(place),
        )
    return table


async def _disagreements(stack: Stack, crowd: list[Member], arrivals: list[Arrival]) -> list[str]:
    """Returns what speaks against "each was booked exactly once, and none asked too early"."""
    bookings = (await stack.control(stack.aimharder_url, "bookings"))["bookings"]
    held = Counter(booking["member"] for booking in bookings if booking["state"] == 1)
    asked = Counter(arrival.member for arrival in arrivals)
    async with stack.database() as connection:
        rows = await connection.fetch("select user_email, status, result ->> 'bookingId' as id from public.prebookings")
    recorded = {row["user_email"]: row for row in rows if row["status"] == "completed"}
    numbers = {booking["member"]: str(booking["id"]) for booking in bookings}
    faults = [
        f"{a.member}'s request arrived {-a.first_byte_ms:.2f} ms too early" for a in arrivals if a.first_byte_ms < 0
    ]
    for email in (member.email for member in crowd):
        if held[email] != 1:
            faults.append(f"the gym holds {held[email]} bookings of {email}")
        if asked[email] != 1:
            faults.append(f"the gym got {asked[email]} booking requests of {email}")
        if email not in recorded or recorded[email]["id"] != numbers.get(email):
            faults.append(f"the database's booking of {email} is not the gym's")
    return faults


def _conclude(out: Console, rows: list[dict[str, Any]], arrivals: list[Arrival], faults: list[str]) -> None:
    for fault in faults:
        out.print(f"[bold red]✗[/] {fault}")
    if faults:
        return
    lateness = [arrival.last_byte_ms for arrival in arrivals]
    ranks = {row["user_email"]: rank for rank, row in enumerate(sorted(rows, key=_created))}
    order = [ranks[arrival.member] for arrival in arrivals]
    overtakes = sum(1 for i, rank in enumerate(order) for later in order[i + 1 :] if later < rank)
    out.print(
        f"[bold green]✓[/] {len(rows)} of {len(rows)} booked, each exactly once: the gym's and the database's ledgers "
        f"agree.\n  At the gym {min(lateness):.2f} to {max(lateness):.2f} ms after the opening, none early, "
        f"{overtakes} overtakings."
    )


def _created(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["created_at"])
