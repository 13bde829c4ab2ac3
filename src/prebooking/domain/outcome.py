"""The closed sets of outcomes of a prebooking, and of answers to a booking request."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class Outcome(StrEnum):
    """How an execution ended. The outcome of a failed prebooking is also its `error_code`."""

    BOOKED = "booked"
    ALREADY_BOOKED = "already_booked"
    WAITING_LIST = "waiting_list"

    CLASS_FULL = "class_full"
    NO_CREDIT = "no_credit"
    UNPAID = "unpaid"
    TOO_LATE = "too_late"
    DAILY_LIMIT = "daily_limit"
    LIMIT_REACHED = "limit_reached"
    TIME_CLASH = "time_clash"
    CLASS_NOT_FOUND = "class_not_found"
    SESSION_EXPIRED = "session_expired"
    REFUSED = "refused"
    BOX_UNKNOWN = "box_unknown"
    UNUSABLE = "unusable"

    TOO_EARLY = "too_early"
    GYM_UNREACHABLE = "gym_unreachable"
    BLOCKED = "blocked"

    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    EXPIRED = "expired"
    OUTCOME_UNKNOWN = "outcome_unknown"

    @property
    def success(self) -> bool:
        return self in (Outcome.BOOKED, Outcome.ALREADY_BOOKED, Outcome.WAITING_LIST)


# For members: what happened, and what to do, if anything.
SENTENCES = {
    Outcome.BOOKED: "You are booked.",
    Outcome.ALREADY_BOOKED: "You were booked into this class already.",
    Outcome.WAITING_LIST: "The class is full: you are on its waiting list.",
    Outcome.CLASS_FULL: "The class was full.",
    Outcome.NO_CREDIT: "Your tariff has no session left for this class.",
    Outcome.UNPAID: "The gym says that a payment is outstanding.",
    Outcome.TOO_LATE: "The gym takes no bookings this close to the class.",
    Outcome.DAILY_LIMIT: "You have reached the gym's limit of bookings for that day.",
    Outcome.LIMIT_REACHED: "You have reached the limit of bookings of your tariff.",
    Outcome.TIME_CLASH: "You have another booking at that hour.",
    Outcome.CLASS_NOT_FOUND: "The gym does not offer this class.",
    Outcome.SESSION_EXPIRED: "Your AimHarder session has ended: sign in again, then retry.",
    Outcome.REFUSED: "The gym refused the booking.",
    Outcome.BOX_UNKNOWN: "AimHarder has no such gym: create it again with the right sub-domain.",
    Outcome.UNUSABLE: "This prebooking doesn't say which class it is for: create it again.",
    Outcome.TOO_EARLY: "The gym had not opened the class yet.",
    Outcome.GYM_UNREACHABLE: "The gym could not be reached.",
    Outcome.BLOCKED: "The gym blocked the request.",
    Outcome.ATTEMPTS_EXHAUSTED: "Each attempt to book was interrupted before it could say why.",
    Outcome.EXPIRED: "The class was over before it could be booked.",
    Outcome.OUTCOME_UNKNOWN: "The gym could not be asked whether the booking was made.",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """An outcome, with the details of the box's answer."""

    outcome: Outcome
    detail: str = ""  #: the box's own message, or the kind of failure: an HTTP status, an exception
    booking_id: str | None = None
    book_state: int | None = None
    sentence: str | None = None  #: the message of an earlier attempt that says more

    @property
    def message(self) -> str:
        sentence = self.sentence or SENTENCES[self.outcome]
        return f"{sentence} ({self.detail})" if self.detail else sentence


def detail_in(message: str, outcome: Outcome) -> str:
    """Returns the detail in the message of an Ending; "" where its sentence is not the outcome's own."""
    opening = f"{SENTENCES[outcome]} ("
    return message[len(opening) : -1] if message.startswith(opening) and message.endswith(")") else ""


class ReplyKind(Enum):
    """The kinds of answers to a booking request."""

    BOOKED = auto()
    ON_A_LIST = auto()  #: bookState 0: booked or waiting, which the listing shows
    REFUSED = auto()  #: a refusal that ends it
    TOO_EARLY = auto()  #: not open yet, by the box's clock
    SAME_HOUR = auto()  #: this class, or another one at that hour, which the listing shows
    LOGGED_OUT = auto()
    BLOCKED = auto()  #: 403, 429
    NOT_HERE = auto()  #: a redirect, 404: no box at that address, or none at the moment
    NOTHING_SAID = auto()  #: a complete answer without a statement: 500, 503, HTML
    NO_ANSWER = auto()  #: no complete answer: timeout, reset, truncated, 502, 504
    NEVER_LEFT = auto()  #: surely not sent: refused, TLS


@dataclass(frozen=True, slots=True)
class Reply:
    """A classified answer. `outcome`: what it says by itself, if anything."""

    kind: ReplyKind
    outcome: Outcome | None = None
    detail: str = ""  #: see Ending
    booking_id: str | None = None
    book_state: int | None = None

    @property
    def label(self) -> str:
        """The name of the request's outcome in the row's timings."""
        return str(self.outcome or self.kind.name.lower())

    def ending(self, outcome: Outcome) -> Ending:
        return Ending(outcome, self.detail, self.booking_id, self.book_state)
