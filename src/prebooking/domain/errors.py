"""Errors of the outside systems. Each adapter translates its library's exceptions into these.

PrebookingError
├── StoreUnavailableError   the database did not answer: it may have executed the call
├── StoreRefusedError       the database refused the values of the call
├── EmailTakenError         the e-mail is another account's
├── EmailStaleError         the e-mail was taken from this account since its token was issued
├── MessagingError          QStash did not confirm a message: it may have accepted it
│   └── PublishingPausedError   QStash accepts no messages at present, so it was not called
├── BoxSilentError          the box or the account host gave no usable answer to a question
│   ├── HostSilentError     no response: no connection, or a time-out
│   ├── BoxBlockedError     the box blocks requests for now
│   ├── BoxNotHereError     a redirect or 404: no box at that address, or none at the moment
│   └── NotSentError        the request was certainly not sent
├── WrongCredentialsError   AimHarder says that e-mail or password are wrong
├── AccountLockedError      AimHarder has locked the account for a while
├── SessionMissingError     the user has connected no AimHarder session
├── SessionEndedError       the user's AimHarder session is dead for good
├── BoxNumberUnknownError   AimHarder does not list the box among the user's
├── KeysUnavailableError    Supabase's keys can't be fetched
└── CursorUnknownError      not a cursor of this database
"""

from enum import StrEnum


class StoreTrouble(StrEnum):
    """Why the database did not answer. A gateway or proxy may have responded instead."""

    SILENT = "silent"  #: no response: no connection, or a time-out
    BUSY = "busy"  #: a temporary failure of the database or a gateway: 5xx, connections, locks
    THROTTLED = "throttled"  #: a gateway limits the rate of calls: 429
    PAUSED = "paused"  #: the project is paused: 540
    KEY_REFUSED = "key_refused"  #: the gateway or PostgREST refuses the key
    LOGIN_ASKED = "login_asked"  #: a proxy in front of the gateway requires a login of its own, or refuses the host
    NOT_POSTGREST = "not_postgrest"  #: the response is not PostgREST's: 404, a redirect, a page
    FUNCTION_MISSING = "function_missing"  #: PostgREST has no such function
    NOT_ALLOWED = "not_allowed"  #: the key may not call the function
    OTHER = "other"


class MessagingTrouble(StrEnum):
    """Why QStash did not confirm a message."""

    TOKEN_REFUSED = "token_refused"  # noqa: S105  # a name: the token is unknown, 401
    READ_ONLY = "read_only"  #: the token may not do this: 403
    LIMITED = "limited"  #: the account has used up a limit: 429
    OTHER_REGION = "other_region"  #: the token is of another region, which gets a 404 for every request
    NOT_FOUND = "not_found"  #: the object does not exist, or another server responds: any other 404
    OTHER = "other"


class PrebookingError(Exception):
    """Base class of all errors of the outside systems."""


class StoreUnavailableError(PrebookingError):
    """The database did not answer in time. It may have executed the call, so only the same call may be repeated.

    `code`: of a response that no repeat changes; None: there was no response, or its cause is temporary.
    """

    def __init__(self, message: str, code: str | None = None, *, trouble: StoreTrouble = StoreTrouble.OTHER) -> None:
        super().__init__(message)
        self.code = code
        self.trouble = trouble


class StoreRefusedError(PrebookingError):
    """The database does not accept a value. A repeat would be refused, too."""


class EmailTakenError(PrebookingError):
    """Another account owns this e-mail address."""


class EmailStaleError(PrebookingError):
    """The account has lost this e-mail address since its token was issued."""


class MessagingError(PrebookingError):
    """QStash did not confirm a message.

    `pause`: it is down, throttles or refuses us, so other messages would fail, too.
    """

    def __init__(self, message: str, *, pause: bool, trouble: MessagingTrouble = MessagingTrouble.OTHER) -> None:
        super().__init__(message)
        self.pause = pause
        self.trouble = trouble


class PublishingPausedError(MessagingError):
    """QStash accepts no messages at present, so it was not called. A later message probes it."""

    def __init__(self) -> None:
        super().__init__("QStash accepts no messages at present", pause=True)


class BoxSilentError(PrebookingError):
    """A request to AimHarder got no usable answer, so its result is unknown."""


class HostSilentError(BoxSilentError):
    """The host did not respond: it can't be reached, or takes too long. Other requests would fail, too."""


class BoxBlockedError(BoxSilentError):
    """The box blocks the request: 403, 429."""


class BoxNotHereError(BoxSilentError):
    """The host responds, but there is no box at this address, or none at the moment."""


class NotSentError(BoxSilentError):
    """The request was certainly not sent, so it has changed nothing."""


class WrongCredentialsError(PrebookingError):
    """AimHarder refuses this e-mail address with this password."""


class AccountLockedError(PrebookingError):
    """After too many wrong passwords AimHarder refuses even the right one for a while."""


class SessionMissingError(PrebookingError):
    """The user has connected no AimHarder session."""


class SessionEndedError(PrebookingError):
    """The AimHarder session is dead, and can't be refreshed."""


class BoxNumberUnknownError(PrebookingError):
    """AimHarder's number of the box is unknown, which a request for its listing needs."""


class KeysUnavailableError(PrebookingError):
    """Supabase's keys could not be fetched, and the key is not among the known ones. `retry_after`: in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("Supabase's keys could not be fetched")
        self.retry_after = retry_after


class CursorUnknownError(PrebookingError):
    """The cursor is not one of this database: it was invented, or the database was replaced."""


class TooManyTriesError(PrebookingError):
    """Too many attempts to sign in, by the user or to the account."""

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after  #: seconds


class CantRememberError(PrebookingError):
    """The password can't be remembered, since it would not be encrypted."""


class TooOftenError(PrebookingError):
    """The maximum of `limit` requests within a minute is reached."""

    def __init__(self, limit: int, retry_after: float) -> None:
        super().__init__()
        self.limit = limit
        self.retry_after = retry_after  #: seconds until the next request is allowed
