"""The campaign in one table, and each complaint with what the ledgers say of it."""

import statistics
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from tests.reliability.faults.counted import LOGIN
from tests.reliability.faults.fault_schedule import FaultSchedule
from tests.reliability.faults.figures import Deliveries, heal_times_s, lateness_ms
from tests.reliability.faults.fleet import Fleet
from tests.reliability.faults.ledgers import Evidence, WishRecord
from tests.reliability.faults.old_cron import OldCron
from tests.reliability.faults.sessions import LossCause, rotated
from tests.reliability.faults.verdict import Verdict
from tests.support.percentiles import percentile

_SHOWN = 40
_READ = 1000  # characters of a place that is worth naming
_ROW = (
    *("id", "status", "error_code", "version", "attempts", "parks", "created_at", "available_at", "executed_at"),
    *("booking_started_at", "claimed_at", "lease_until", "retry_at", "last_outcome", "result"),
)


def figures(
    evidence: Evidence,
    deliveries: Deliveries,
    verdict: Verdict,
    fleet: Fleet,
    fault_schedule: FaultSchedule,
    cron: OldCron,
) -> dict[str, Any]:
    healed = heal_times_s(evidence, deliveries)
    late = lateness_ms(evidence, deliveries)
    statuses = deliveries.by_status()
    went_on = [death.until for death in evidence.deaths if death.how == "stop"]
    return {
        "prebookings": len(evidence.user_logs),
        "rows": len(evidence.rows),
        "ended": dict(Counter(_end_of(row) for row in evidence.rows).most_common()),
        "deliveries": sum(statuses.values()),
        "delivery answers": {str(status or "none"): n for status, n in sorted(statuses.items())},
        "slowest delivery answers, s": {
            which: round(took_s, 2) for took_s, which in deliveries.slowest_answers(went_on)
        },
        "kills": dict(fleet.by_point().most_common()),
        "stops": fleet.count("stop"),
        "deploys": fleet.count("deploy"),
        "slowest deploy, s": round(fleet.slowest_deploy_s, 2),
        "crashes by themselves": fleet.count("crash"),
        "Postgres restarts": fault_schedule.restarts,
        "faults": dict(sorted(fault_schedule.injected.items())),
        "sessions": {
            "rotations": rotated(evidence.sessions),
            **{cause: sum(loss.cause is cause for loss in verdict.sessions_lost) for cause in LossCause},
        },
        "sign-ins": {
            "of members": sum(not one.own for one in evidence.sign_ins.tries),
            "of our own": sum(one.own for one in evidence.sign_ins.tries),
            "remembered": sum(evidence.sign_ins.remembered.values()),
            "logins at the gym": sum(request["path"] == LOGIN for request in evidence.requests),
        },
        "series": {
            "created": len(evidence.series.series),
            "their prebookings": len(evidence.series.rows),
            "booked": len(evidence.series.bookings),
        },
        "passwords looked for in, kB": {
            place: number // 1000 for place, number in evidence.sign_ins.looked_at.items() if number >= _READ
        },
        "old cron": {"taken": cron.taken, "direct": cron.direct},
        "healed after a kill, s": _spread(healed),
        "late, QStash on, ms": _spread([late_ms for late_ms, _ in late["on"]]),
        "late, QStash down, ms": _spread([late_ms for late_ms, _ in late["off"]]),
        "latest, ms": {which: round(late_ms, 1) for late_ms, which in late["on"][-3:]},
        "verdict": {column: len(found) for column, found in verdict.complaints.items()},
    }


def _end_of(row: dict[str, Any]) -> str:
    outcome = row["error_code"] or (row["result"] or {}).get("outcome") or (row["result"] or {}).get("by")
    return f"{row['status']}: {outcome}" if outcome else str(row["status"])


def _spread(values: list[float]) -> dict[str, Any]:
    if not values:
        return {"n": 0}
    named = {"p50": statistics.median(values), "p99": percentile(values, 99), "max": values[-1]}
    return {"n": len(values)} | {name: round(value, 2) for name, value in named.items()}


def table(found: dict[str, Any], title: str) -> Table:
    shown = Table(title=title, show_header=False)
    shown.add_column("what")
    shown.add_column("figure")
    for name, figure in found.items():
        if name == "kills":
            shown.add_row(name, f"{sum(figure.values())}, at {_list(figure)}")
        elif name == "verdict":
            shown.add_section()
            for column, number in figure.items():
                colour = "green" if number == 0 else "bold red"
                shown.add_row(f"[{colour}]{column}[/]", f"[{colour}]{number}[/]")
        else:
            shown.add_row(name, _list(figure) if isinstance(figure, dict) else str(figure))
    return shown


def _list(figure: dict[str, Any]) -> str:
    return ", ".join(f"{name} {number}" for name, number in figure.items()) or "none"


def complaints(verdict: Verdict) -> Iterator[str]:
    """Each with the entries of its wish in all ledgers."""
    for column, found in verdict.complaints.items():
        for record, text in found[:_SHOWN]:
            if not isinstance(record, WishRecord):
                yield f"✗ {column}: {record.email}: {text}"
                continue
            wish = record.log.wish
            yield f"\n✗ {column}: {wish.email}, class {wish.opening.class_id} of {wish.opening.box}: {text}"
            yield from _ledgers(record)
        if len(found) > _SHOWN:
            yield f"… and {len(found) - _SHOWN} more of these"


def apart(verdict: Verdict) -> Iterator[str]:
    """The sessions that nobody could have kept, each with its reason."""
    for loss in verdict.sessions_lost:
        if loss.cause is not LossCause.LOST:
            yield f"{loss.cause}: {loss.email}: {loss.text}"


def _ledgers(record: WishRecord) -> Iterator[str]:
    wish = record.log.wish
    yield f"  opens {_clock(wish.opening.at.timestamp())}, room for {wish.opening.capacity}, {wish.follow_up}"
    for one in record.log.exchanges:
        said = one.body.get("status") if isinstance(one.body, dict) else one.body
        yield f"  member   {_clock(one.asked_at)} {one.what} → {_clock(one.answered_at)} {one.status} {said}"
    for row in record.rows:
        yield "  database " + ", ".join(f"{name}={_plain(row[name])}" for name in _ROW if row[name] is not None)
    for request in record.requests:
        stamps = f"{_clock(request['first_byte_ns'] / 1e9)} → {_clock((request['answered_ns'] or 0) / 1e9)}"
        shown = {name: request[name] for name in ("target", "decided", "status", "fault", "delivered")}
        yield f"  gym      {stamps} {shown}"
    for booking in record.bookings:
        yield f"  gym      {_clock(booking['made_ns'] / 1e9)} booking {booking['id']}, state {booking['state']}"


def _plain(value: Any) -> Any:
    return _clock(value.timestamp()) if isinstance(value, datetime) else value


def _clock(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%H:%M:%S.%f}"[:-3] if moment else "never"
