"""What can go wrong outside, in our words; each adapter translates its library's exceptions into these.

PrebookingError
├── StoreUnavailableError   the database did not answer: what it was asked may have been done
├── StoreRefusedError       the database refused what it was asked: an error of ours
├── MessagingError          QStash did not take the order: it may have
│   └── OrdersPausedError   nor was it asked
├── BoxSilentError          the box or the account host gave no usable answer to a question
│   ├── HostSilentError     it gave none at all: no connection, or a time-out
│   ├── BoxNotHereError     a redirect or 404: no box at that address, or none at the moment
│   └── NotSentError        nor was it asked: nothing has left
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
    """QStash did not confirm. `pause`: it is down, throttled or refuses us, so it would refuse others, too."""

    def __init__(self, message: str, *, pause: bool) -> None:
        super().__init__(message)
        self.pause = pause


class OrdersPausedError(MessagingError):
    """It takes none of our orders at present: the next one is tried soon."""

    def __init__(self) -> None:
        super().__init__("QStash takes no orders at present", pause=True)


class BoxSilentError(PrebookingError):
    """A question to AimHarder got no usable answer, so nothing is known."""


class HostSilentError(BoxSilentError):
    """Nothing was heard of the host: it can't be reached, or takes too long. Others would find it so, too."""


class BoxNotHereError(BoxSilentError):
    """The host answers, but there is no box at that address, or none at the moment."""


class NotSentError(BoxSilentError):
    """The request surely did not leave: nothing has been changed by it."""


class SessionMissingError(PrebookingError):
    """There is nothing to ask AimHarder with."""


class SessionEndedError(PrebookingError):
    """AimHarder takes it no more, not even for a refresh."""


class BoxNumberUnknownError(PrebookingError):
    """Without AimHarder's number of the box its listing can't be asked for."""


class CursorUnknownError(PrebookingError):
    """What is asked for begins nowhere: it was made up, or the database was replaced."""
