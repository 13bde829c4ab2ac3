"""Is anything stuck, and how far is the move from the old cron?"""

from collections.abc import Iterator

from prebooking.operator.findings import Finding, bad, good, note
from prebooking.operator.inspection import Inspection
from prebooking.settings import Settings

_SUBJECT = "Prebookings"


def look_at_rows(inspection: Inspection, settings: Settings) -> Iterator[Finding]:
    stuck = inspection.overdue + inspection.unswept
    if stuck:
        yield bad(
            _SUBJECT,
            "stuck",
            f"{stuck} should have been executed a minute ago and more",
            "no sweep is running: start a replica, or run `prebooking sweep` now and look at what it logs",
        )
    if inspection.without_message:
        yield bad(
            _SUBJECT,
            "without-message",
            f"{inspection.without_message} have no QStash message after five minutes",
            "a sweep orders them: see that one runs, and what it logs as message_not_scheduled",
        )
    if not stuck and not inspection.without_message:
        waiting = inspection.counts.get("pending", 0)
        yield good(_SUBJECT, "stuck", f"{waiting} waiting, none of them stuck")
    if inspection.warned:
        told = f"{inspection.warned} wait for their user to sign in at AimHarder"
        yield note(_SUBJECT, "warned", told, "they were told, where NOTIFY_WEBHOOK_URL is set")
    yield from _notices(inspection, settings)
    yield _step(inspection)


def _notices(inspection: Inspection, settings: Settings) -> Iterator[Finding]:
    if settings.notify_webhook_url is None:
        yield note("Notices", "notices", "nobody is told", "set NOTIFY_WEBHOOK_URL and NOTIFY_WEBHOOK_SECRET")
    elif inspection.untold:
        why = f" ({inspection.untold_because})" if inspection.untold_because else ""
        yield bad(
            "Notices",
            "notices",
            f"{inspection.untold} are untold after five minutes{why}",
            "see that NOTIFY_WEBHOOK_URL answers 2xx to a POST, and that a sweep runs",
        )
    else:
        yield good("Notices", "notices", "all are told")


def _step(inspection: Inspection) -> Finding:
    """The move from the cron, as far as its rows of the last seven days tell."""
    if inspection.cron_rows:
        return note(
            "Migration",
            "step",
            f"step 1 of 3: the old cron ended {inspection.cron_rows} of late, side by side with this service",
            "switch the cron off when you trust this one",
        )
    if inspection.foreign_rows:
        return note(
            "Migration",
            "step",
            f"step 2 of 3: the cron is silent, and the web application still wrote {inspection.foreign_rows} itself",
            "have it call POST /prebookings, then delete the old code",
        )
    return good("Migration", "step", "done: for 7 days nothing but this service has written prebookings")
