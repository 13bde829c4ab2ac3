"""Checks for stuck prebookings and unsent notifications, and how far the migration from the old cron is."""

from collections.abc import Iterator

from prebooking.domain.pace import ready_within
from prebooking.domain.plain_text import printable
from prebooking.operator.check_context import CheckContext
from prebooking.operator.findings import Finding, bad, good, note
from prebooking.operator.inspection import Inspection
from prebooking.settings import Settings

_SUBJECT = "Prebookings"


async def check_rows(context: CheckContext) -> list[Finding]:
    return [] if context.inspection is None else [*_rows(context.inspection, context)]


def _rows(inspection: Inspection, context: CheckContext) -> Iterator[Finding]:
    settings = context.settings
    stuck = inspection.overdue + inspection.unswept
    if stuck:
        yield bad(
            _SUBJECT,
            "stuck",
            f"{inspection.number(stuck)} are overdue by a minute or more",
            "no sweep is running: start a replica, or run `prebooking sweep` now and read its log",
        )
    if inspection.late:
        yield bad(
            _SUBJECT,
            "late",
            f"{inspection.number(inspection.late)} opened but nothing has begun to book them, "
            f"the earliest {inspection.late_s or 0:.0f} s ago",
            "check that a replica runs with this database, and that QStash reaches it (PUBLIC_URL)",
        )
    if inspection.elsewhere:
        yield _elsewhere(inspection, context)
    if inspection.without_message:
        yield bad(
            _SUBJECT,
            "without-message",
            f"{inspection.number(inspection.without_message)} have no QStash message after five minutes",
            "a sweep publishes them: check that one runs, and what it logs as message_not_scheduled",
        )
    if not (stuck or inspection.late or inspection.elsewhere or inspection.without_message):
        waiting = inspection.counts.get("pending", 0)
        yield good(_SUBJECT, "stuck", f"{waiting} pending, none stuck")
    yield from _crowd(inspection, settings)
    if inspection.unfilled:
        yield bad(
            _SUBJECT,
            "series",
            f"{inspection.number(inspection.unfilled)} series have a due day that nobody has made in five minutes",
            "no sweep is running: start a replica, or run `prebooking sweep` now and read its log",
        )
    if inspection.warned:
        message = f"{inspection.number(inspection.warned)} wait for their user to sign in at AimHarder"
        yield note(_SUBJECT, "warned", message, "they are notified if NOTIFY_WEBHOOK_URL is set")
    yield from _notices(inspection, settings)
    yield _step(inspection)


def _crowd(inspection: Inspection, settings: Settings) -> Iterator[Finding]:
    crowd, ready = inspection.crowd, ready_within(settings.lead_seconds)
    if crowd is not None and crowd.planned > ready:
        yield note(
            _SUBJECT,
            "crowd",
            f"{crowd.planned} wait for the opening of {crowd.opening:%Y-%m-%d %H:%M:%S} UTC, and one replica makes "
            f"about {ready} ready in LEAD_SECONDS={settings.lead_seconds:g}",
            "raise LEAD_SECONDS and MAX_DURATION_SECONDS before then, or run more replicas",
        )


def _elsewhere(inspection: Inspection, context: CheckContext) -> Finding:
    message = (
        f"{inspection.number(inspection.elsewhere)} have a message for "
        f"{printable(inspection.elsewhere_url or '')}, not at {context.settings.public_url}"
    )
    if context.unreachable:
        return note(_SUBJECT, "messages-elsewhere", message, "fix PUBLIC_URL first: that address may be the right one")
    return bad(
        _SUBJECT,
        "messages-elsewhere",
        message,
        "run `prebooking sweep` with this PUBLIC_URL, which publishes them again; keep the old address until then",
    )


def _notices(inspection: Inspection, settings: Settings) -> Iterator[Finding]:
    if settings.notify_webhook_url is None:
        yield note("Notices", "notices", "notifications are off", "set NOTIFY_WEBHOOK_URL and NOTIFY_WEBHOOK_SECRET")
    elif inspection.untold:
        why = f" ({inspection.untold_because})" if inspection.untold_because else ""
        yield bad(
            "Notices",
            "notices",
            f"{inspection.number(inspection.untold)} were not sent after five minutes{why}",
            "check that NOTIFY_WEBHOOK_URL responds 2xx to a POST, and that a sweep runs",
        )
    else:
        yield good("Notices", "notices", "all are sent")


def _step(inspection: Inspection) -> Finding:
    """Returns the step of the migration from the cron, by the rows of the last seven days."""
    if inspection.cron_rows:
        ended = inspection.number(inspection.cron_rows)
        return note(
            "Migration",
            "step",
            f"step 1 of 3: the old cron still finished {ended}, beside this service",
            "switch the cron off when you trust this service",
        )
    if inspection.foreign_rows:
        written = inspection.number(inspection.foreign_rows)
        return note(
            "Migration",
            "step",
            f"step 2 of 3: the cron is off, but the web application still wrote {written} itself",
            "make it call POST /prebookings, then delete the old code",
        )
    return good("Migration", "step", "done: only this service has written prebookings for 7 days")
