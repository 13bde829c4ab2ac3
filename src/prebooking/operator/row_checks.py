"""Is anything stuck, and how far is the move from the old cron?"""

from collections.abc import Iterator

from prebooking.domain.plain_text import printable
from prebooking.operator.case import Case
from prebooking.operator.findings import Finding, bad, good, note
from prebooking.operator.inspection import Inspection
from prebooking.settings import Settings

_SUBJECT = "Prebookings"


async def look_at_rows(case: Case) -> list[Finding]:
    return [] if case.inspection is None else [*_rows(case.inspection, case)]


def _rows(inspection: Inspection, case: Case) -> Iterator[Finding]:
    settings = case.settings
    stuck = inspection.overdue + inspection.unswept
    if stuck:
        yield bad(
            _SUBJECT,
            "stuck",
            f"{inspection.number(stuck)} should have been executed a minute ago and more",
            "no sweep is running: start a replica, or run `prebooking sweep` now and look at what it logs",
        )
    if inspection.late:
        yield bad(
            _SUBJECT,
            "late",
            f"{inspection.number(inspection.late)} opened and nobody has begun to book, "
            f"one {inspection.late_s or 0:.0f} s ago",
            "no replica took it up: see that one runs with this database, and that QStash reaches it (PUBLIC_URL)",
        )
    if inspection.elsewhere:
        yield _elsewhere(inspection, case)
    if inspection.without_message:
        yield bad(
            _SUBJECT,
            "without-message",
            f"{inspection.number(inspection.without_message)} have no QStash message after five minutes",
            "a sweep orders them: see that one runs, and what it logs as message_not_scheduled",
        )
    if not (stuck or inspection.late or inspection.elsewhere or inspection.without_message):
        waiting = inspection.counts.get("pending", 0)
        yield good(_SUBJECT, "stuck", f"{waiting} waiting, none of them stuck")
    if inspection.warned:
        told = f"{inspection.number(inspection.warned)} wait for their user to sign in at AimHarder"
        yield note(_SUBJECT, "warned", told, "they were told, where NOTIFY_WEBHOOK_URL is set")
    yield from _notices(inspection, settings)
    yield _step(inspection)


def _elsewhere(inspection: Inspection, case: Case) -> Finding:
    told = (
        f"{inspection.number(inspection.elsewhere)} have a message that rings at "
        f"{printable(inspection.elsewhere_url or '')}, not at {case.settings.public_url}"
    )
    if case.misses:
        return note(_SUBJECT, "messages-elsewhere", told, "mend PUBLIC_URL first: that address may be the right one")
    return bad(
        _SUBJECT,
        "messages-elsewhere",
        told,
        "run `prebooking sweep` with this PUBLIC_URL, which orders them anew; keep the old address until then",
    )


def _notices(inspection: Inspection, settings: Settings) -> Iterator[Finding]:
    if settings.notify_webhook_url is None:
        yield note("Notices", "notices", "nobody is told", "set NOTIFY_WEBHOOK_URL and NOTIFY_WEBHOOK_SECRET")
    elif inspection.untold:
        why = f" ({inspection.untold_because})" if inspection.untold_because else ""
        yield bad(
            "Notices",
            "notices",
            f"{inspection.number(inspection.untold)} are untold after five minutes{why}",
            "see that NOTIFY_WEBHOOK_URL answers 2xx to a POST, and that a sweep runs",
        )
    else:
        yield good("Notices", "notices", "all are told")


def _step(inspection: Inspection) -> Finding:
    """The move from the cron, as far as its rows of the last seven days tell."""
    if inspection.cron_rows:
        ended = inspection.number(inspection.cron_rows)
        return note(
            "Migration",
            "step",
            f"step 1 of 3: the old cron ended {ended} of late, side by side with this service",
            "switch the cron off when you trust this one",
        )
    if inspection.foreign_rows:
        written = inspection.number(inspection.foreign_rows)
        return note(
            "Migration",
            "step",
            f"step 2 of 3: the cron is silent, and the web application still wrote {written} itself",
            "have it call POST /prebookings, then delete the old code",
        )
    return good("Migration", "step", "done: for 7 days nothing but this service has written prebookings")
