"""What can go wrong outside, in our words; each adapter translates its library's exceptions into these.

PrebookingError
├── StoreUnavailableError   the database did not answer: what it was asked may have been done
├── StoreRefusedError       the database refused what it was asked: an error of ours
├── MessagingError          QStash did not take the order: it may have
├── BoxSilentError          the box or the account host gave no usable answer to a question
│   ├── HostSilentError     it gave none at all: no connection, or a time-out
│   └── NotSentError        nor was it asked: nothing has left
├── WrongCredentialsError   AimHarder says that e-mail or password are wrong
├── AccountLockedError      AimHarder takes no sign-in to the account for a while
├── SessionMissingError     the user has connected no AimHarder session
├── SessionEndedError       the user's AimHarder session is dead for good
├── BoxNumberUnknownError   AimHarder doesn't name the box among the user's
└── CursorUnknownError      no place in this database's history of changes
"""


class PrebookingError(Exception):
    """Base of all below."""


class StoreUnavailableError(PrebookingError):
    """The database did not answer in time. What was asked may have been done: only a repeat may be tried.

    `code`: what it said, where it said something; None: nothing was heard of it.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class StoreRefusedError(PrebookingError):
    """The database takes no such value. Asking again would change nothing."""


class MessagingError(PrebookingError):
    """QStash did not confirm. `pause` tells that it is down, throttled or refuses us: no use in going on now."""

    def __init__(self, message: str, *, pause: bool) -> None:
        super().__init__(message)
        self.pause = pause


class BoxSilentError(PrebookingError):
    """A question to AimHarder got no usable answer, so nothing is known."""


class HostSilentError(BoxSilentError):
    """Nothing was heard of the host: it can't be reached, or takes too long. Others would find it so, too."""


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


class CursorUnknownError(PrebookingError):
    """What is asked for begins nowhere: it was made up, or the database was replaced."""
