"""The closed set of outcomes of those SQL functions that have more than one."""

from enum import StrEnum


class StoreOutcome(StrEnum):
    """The outcomes. A test compares them with the SQL functions. Any other outcome in an answer is an error: a later
    release may give a function new outcomes only for calls that this release does not make.
    """

    # A prebooking's transitions, by its user.
    CREATED = "created"
    EXISTING = "existing"  #: the idempotent hit: the user's active row has the same wish and opening
    EXISTS = "exists"  #: the conflict: the user's active row has the same wish, with another opening
    RESCHEDULED = "rescheduled"
    RETRIED = "retried"
    CANCELLED = "cancelled"
    KEY_REUSED = "key_reused"
    TOO_LATE = "too_late"
    TOO_MANY = "too_many"
    NOT_FOUND = "not_found"
    NOT_FAILED = "not_failed"
    BOOKING_IN_PROGRESS = "booking_in_progress"
    ALREADY_FINISHED = "already_finished"

    # By its series.
    CHANGED = "changed"  #: also of a session: it was replaced since
    FILLED = "filled"

    # By its messages.
    ATTACHED = "attached"
    STALE = "stale"  #: of another version
    NOTED = "noted"
    NOTHING_TO_NOTE = "nothing_to_note"
    UNKNOWN_PREBOOKING = "unknown_prebooking"

    # By its executions.
    CLAIMED = "claimed"
    HELD = "held"  #: by another claim
    NOT_DUE = "not_due"
    RETRY_LATER = "retry_later"
    ALREADY_ENDED = "already_ended"  #: this claim
    RENEWED = "renewed"
    BEGUN = "begun"
    LOST = "lost"  #: the claim was taken over
    UNSETTLED = "unsettled"  #: it has begun, so it has to be settled first
    FINISHED = "finished"
    RELEASED = "released"
    PARKED = "parked"

    # By giving its place back.
    GIVEN_BACK = "given_back"
    NOT_BOOKED = "not_booked"
    # Other ends of a row that is claimed or begun; see also domain/outcome.py.
    EXPIRED = "expired"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    OUTCOME_UNKNOWN = "outcome_unknown"

    # Sessions, and signing in again.
    FOUND = "found"
    NO_SESSION = "no_session"
    DISCONNECTED = "disconnected"
    ADMITTED = "admitted"
    LEASED = "leased"
    BUSY = "busy"  #: leased by another
    SAVED = "saved"
    REPLACED = "replaced"
    STORED = "stored"
    SUPERSEDED = "superseded"
    ENDED = "ended"
    REFUSED = "refused"  #: AimHarder refused the password earlier
    NOT_REMEMBERED = "not_remembered"

    # Changes, calendars, and whose an e-mail is.
    READ = "read"
    MADE = "made"  #: a calendar
    UNKNOWN_CURSOR = "unknown_cursor"
    OWNED = "owned"
    TAKEN = "taken"
