"""Checks that the database responds, is migrated, and is open to the service only."""

import time
from collections.abc import Iterator

from prebooking.adapters.migrations import compare, scripts
from prebooking.adapters.supabase.session_vault import SessionVault
from prebooking.domain.errors import PrebookingError
from prebooking.operator.check_context import CheckContext
from prebooking.operator.database_silence import explain_failure
from prebooking.operator.findings import Finding, State, bad, good, note
from prebooking.operator.inspection import Inspection, inspect
from prebooking.operator.key_checks import check_keys
from prebooking.settings import Settings

_SUBJECT = "Database"
_MIGRATE = "run `prebooking migrate` with DATABASE_URL set"


async def check_database(context: CheckContext) -> list[Finding]:
    settings = context.settings
    of_keys = list(check_keys(settings))
    started = time.monotonic()
    try:
        context.inspection = inspection = await inspect(await context.rpc(), settings.public_url)
    except PrebookingError as exc:
        if any(one.state is State.BAD and one.check == "key" for one in of_keys):
            return of_keys  # the reason
        return [*of_keys, await explain_failure(settings, str(exc))]
    took_ms = (time.monotonic() - started) * 1000
    findings = [good(_SUBJECT, "database", f"answers in {took_ms:.0f} ms at {settings.supabase_url}"), *of_keys]
    findings += [*_migrations(inspection), *_grants(inspection), *_sessions(inspection, settings)]
    return findings


def _migrations(inspection: Inspection) -> Iterator[Finding]:
    found = compare(inspection.migrations)
    if found.missing:
        names = ", ".join(script.name for script in found.missing)
        yield bad(_SUBJECT, "migrations", f"lacks {names}", _MIGRATE)
    if found.edited:
        message = f"was migrated with another version of {', '.join(found.edited)}"
        yield bad(_SUBJECT, "migrations", message, "deploy the release that applied it: migrations never change")
    if found.newer:
        names = ", ".join(found.newer)
        yield note(_SUBJECT, "migrations", f"is ahead of this release by {names}", "deploy the newer release")
    if inspection.missing_functions:
        yield bad(
            _SUBJECT,
            "functions",
            f"has lost {', '.join(inspection.missing_functions)}",
            "restore them from sql/: delete the rows of functions/ in prebooking.migrations, then migrate",
        )
    if not found.missing and not found.edited and not inspection.missing_functions:
        yield good(_SUBJECT, "migrations", f"has all {len(scripts())} files of sql/")


def _grants(inspection: Inspection) -> Iterator[Finding]:
    if inspection.open_functions:
        names = ", ".join(inspection.open_functions)
        yield bad(
            _SUBJECT,
            "grants",
            f"lets everybody call {names}",
            "in its SQL editor: revoke execute on function … from public, anon, authenticated",
        )
    if inspection.closed_functions:
        names = ", ".join(inspection.closed_functions)
        yield bad(
            _SUBJECT, "grants", f"does not let the service call {names}", "grant execute on function … to service_role"
        )
    if inspection.open_tables:
        names = ", ".join(inspection.open_tables)
        yield bad(
            _SUBJECT,
            "tables",
            f"exposes {names} to browsers",
            "alter table … enable row level security; revoke all on … from anon; "
            "revoke insert, update, delete on … from authenticated",
        )
    if not (inspection.open_functions or inspection.closed_functions or inspection.open_tables):
        yield good(_SUBJECT, "grants", "is open to the service only")


def _sessions(inspection: Inspection, settings: Settings) -> Iterator[Finding]:
    lacking = set(inspection.sealed_under) - SessionVault(settings.session_keys).key_ids
    if lacking:
        yield bad(
            _SUBJECT,
            "session-keys",
            f"holds sessions that are encrypted under {', '.join(sorted(lacking))}, a key that is not set here",
            "add the key that they were encrypted with to SESSION_ENCRYPTION_KEYS",
        )
    elif not inspection.sessions:
        yield note(
            _SUBJECT,
            "sessions",
            "holds no AimHarder session yet",
            "sign in by POST /session, or connect one by PUT /session",
        )
    else:
        yield good(_SUBJECT, "sessions", f"AimHarder sessions: {inspection.sessions}, all readable here")
