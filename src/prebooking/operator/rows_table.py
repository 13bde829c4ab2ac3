"""Tables of prebookings for the terminal."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.markup import escape
from rich.table import Table

from prebooking.domain.plain_text import printable
from prebooking.domain.prebooking import Prebooking, Status

_STYLES = {Status.COMPLETED: "green", Status.FAILED: "red", Status.EXECUTING: "cyan"}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def table_of_next(rows: Sequence[Prebooking], now: datetime) -> Table:
    table = _table("Next openings", "opens", "in", "class", "member", "message")
    for row in rows:
        state = (
            "[yellow]sign in![/]" if row.warning else "scheduled" if row.qstash_schedule_id else "[yellow]none yet[/]"
        )
        if row.status is Status.EXECUTING:
            state = "[cyan]executing[/]"
        opens = f"{row.available_at:%a %d %b %H:%M:%S}"
        table.add_row(opens, humanize(row.available_at - now), _class(row), _plain(row.user_email), state)
    return table


def table_of_last(rows: Sequence[Prebooking], now: datetime) -> Table:
    table = _table("Last results", "ended", "outcome", "class", "member", "fired", "answered")
    for row in rows:
        result = row.result or {}
        stored = result.get("timings")
        timings = stored if isinstance(stored, dict) else {}
        outcome = f"[{_STYLES.get(row.status, 'default')}]{_plain(str(result.get('outcome') or row.status))}[/]"
        ended = f"{humanize(now - row.executed_at)} ago" if row.executed_at else ""
        late, response = timings.get("fire_lateness_ms"), timings.get("response_ms")
        table.add_row(
            ended,
            outcome,
            _class(row),
            _plain(row.user_email),
            f"+{late:.1f} ms" if isinstance(late, int | float) else "",
            f"{response:.0f} ms" if isinstance(response, int | float) else "",
        )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    table.box, table.padding = None, (0, 2, 0, 0)
    for column in columns:
        numbers = column in ("in", "fired", "answered")
        table.add_column(column, justify="right" if numbers else "left", no_wrap=column not in ("class", "member"))
    return table


def class_of(row: Prebooking) -> str:
    """Names the class in one line, printable."""
    data = row.booking_data
    by_hour = row.class_ and (row.class_.name or f"class at {row.class_.starts}")
    name = str(data.get("activityName") or by_hour or f"class {data.get('id', '?')}")
    return printable(f"{name}, {data.get('day', '?')}, {row.box_subdomain or 'no box'}")


def _class(row: Prebooking) -> str:
    return escape(class_of(row))


def _plain(text: str) -> str:
    """Escapes text of outsiders for the terminal and for a table's cell."""
    return escape(printable(text))


def humanize(distance: timedelta) -> str:
    """Formats a duration in one unit: 47 s, 12 min, 5 h, 3 d."""
    seconds = int(distance.total_seconds())
    if seconds < 0:
        return f"−{humanize(-distance)}"
    for size, unit in ((2 * _DAY, "d"), (2 * _HOUR, "h"), (2 * _MINUTE, "min")):
        if seconds >= size:
            return f"{seconds // (size // 2)} {unit}"
    return f"{seconds} s"
