"""The failures of the systems outside; each adapter translates its library's exceptions into these.

PrebookingError
├── StoreUnavailableError   the database did not answer: it may have done the call
├── StoreRefusedError       the database refused the call: an error of ours
├── EmailTakenError         the e-mail is another account's
├── EmailStaleError         the e-mail was taken from this account since its token was issued
├── MessagingError          QStash did not confirm a message: it may have taken it
│   └── PublishingPausedError   it was not asked: it takes no messages at present
├── BoxSilentError          the box or the account host gave no usable answer to a question
│   ├── HostSilentError     it gave none at all: no connection, or a time-out
│   ├── BoxBlockedError     the box takes no more questions for now
│   ├── BoxNotHereError     a redirect or 404: no box at that address, or none at the moment
│   └── NotSentError        nor was it asked: nothing has left
├── WrongCredentialsError   AimHarder says that e-mail or password are wrong
├── AccountLockedError      AimHarder takes no sign-in to the account for a while
├── SessionMissingError     the user has connected no AimHarder session
├── SessionEndedError       the user's AimHarder session is dead for good
├── BoxNumberUnknownError   AimHarder doesn't name the box among the user's
├── KeysUnavailableError    it can't be told now whether a key is one of Supabase's
└── CursorUnknownError      no place in this database's history of changes
"""

from enum import StrEnum


class StoreTrouble(StrEnum):
    """Why the database did not answer, as far as is known: something before it may have answered in its place."""

    SILENT = "silent"  #: nothing was heard of it: no connection, or a time-out
    BUSY = "busy"  #: the database, or a gateway before it, is in trouble that passes: 5xx, connections, locks
    THROTTLED = "throttled"  #: a gateway lets through no more calls for now: 429
    PAUSED = "paused"  #: the project is paused: 540
    KEY_REFUSED = "key_refused"  #: the gateway, or PostgREST, takes no such key
    LOGIN_ASKED = "login_asked"  #: something before the gateway wants a login of its own, or lets nobody through
    NOT_POSTGREST = "not_postgrest"  #: the answer is not of a PostgREST: 404, a redirect, a page
    FUNCTION_MISSING = "function_missing"  #: PostgREST knows no such function
    NOT_ALLOWED = "not_allowed"  #: the database does not let this key call the function
    OTHER = "other"


class MessagingTrouble(StrEnum):
    """Why QStash did not confirm, as far as it says so."""

    TOKEN_REFUSED = "token_refused"  # noqa: S105  # a name: it knows no such token, 401
    READ_ONLY = "read_only"  #: the token may not do this: 403
    LIMITED = "limited"  #: the account has used up a limit: 429
    OTHER_REGION = "other_region"  #: the token is of another region, which gets a 404 for every request
    NOT_FOUND = "not_found"  #: the object is not there, or this is no QStash: any other 404
    OTHER = "other"


class PrebookingError(Exception):
    """Base of all below."""


class StoreUnavailableError(PrebookingError):
    """The database did not answer in time. It may have done the call: only the same one may be tried again.

    `code`: of an answer that no repeat changes; None: there was no answer, or its cause may pass.
    """

    def __init__(self, message: str, code: str | None = None, *, trouble: StoreTrouble = StoreTrouble.OTHER) -> None:
        super().__init__(message)
        self.code = code
        self.trouble = trouble


class StoreRefusedError(PrebookingError):
    """The database takes no such value. Asking again would change nothing."""


class EmailTakenError(PrebookingError):
    """Another account came with this e-mail first."""


class EmailStaleError(PrebookingError):
    """The account had this e-mail when its token was issued, and has none now."""


class MessagingError(PrebookingError):
    """QStash did not confirm. `pause`: it is down, throttled or refuses us, so it would refuse others, too."""

    def __init__(self, message: str, *, pause: bool, trouble: MessagingTrouble = MessagingTrouble.OTHER) -> None:
        super().__init__(message)
        self.pause = pause
        self.trouble = trouble


class PublishingPausedError(MessagingError):
    """QStash takes none of our messages at present, so it was not asked: a later one probes."""

    def __init__(self) -> None:
        super().__init__("QStash takes no messages at present", pause=True)


class BoxSilentError(PrebookingError):
    """A question to AimHarder got no usable answer, so nothing is known."""


class HostSilentError(BoxSilentError):
    """Nothing was heard of the host: it can't be reached, or takes too long. Others would find it so, too."""


class BoxBlockedError(BoxSilentError):
    """The box refuses the question as one too many: 403, 429."""


class BoxNotHereError(BoxSilentError):
    """The host answers, but there is no box at that address, or none at the moment."""


class NotSentError(BoxSilentError):
    """The request surely did not leave: nothing has been changed by it."""


class WrongCredentialsError(PrebookingError):
    """AimHarder refuses this e-mail with this password, and nothing else is the reason."""


class AccountLockedError(PrebookingError):
    """After too many wrong passwords AimHarder takes not even the right one for a while."""


class SessionMissingError(PrebookingError):
    """There is nothing to ask AimHarder with."""


class SessionEndedError(PrebookingError):
    """AimHarder takes it no more, not even for a refresh."""


class BoxNumberUnknownError(PrebookingError):
    """Without AimHarder's number of the box its listing can't be asked for."""


class KeysUnavailableError(PrebookingError):
    """Supabase's keys could not be fetched, and those that are known are not enough. `retry_after`: in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("Supabase's keys could not be fetched")
        self.retry_after = retry_after


class CursorUnknownError(PrebookingError):
    """The history of changes has no such cursor: it was made up, or the database was replaced."""


class TooManyTriesError(PrebookingError):
    """The user has tried too often, or somebody has tried the account too often."""

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after  #: seconds


class CantRememberError(PrebookingError):
    """Nothing would encrypt the password."""


class TooOftenError(PrebookingError):
    """It was asked for `limit` times within the last minute, the maximum."""

    def __init__(self, limit: int, retry_after: float) -> None:
        super().__init__()
        self.limit = limit
        self.retry_after = retry_after  #: seconds until it may be asked again
