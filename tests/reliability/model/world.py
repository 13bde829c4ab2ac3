"""What the model consists of: one row, its workers, the gym, QStash's messages, calls under way; and its switches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.reliability.model.row import (
    BEFORE_THE_END,
    NULL,
    Answer,
    Row,
    begin_booking,
    cancel_prebooking,
    claim_prebooking,
    finish_booking,
    park_prebooking,
    release_prebooking,
    renew_claim,
)

FRESH = 99  #: a token that nobody has had; see names.py


class Worker(NamedTuple):
    """One execution. A stopped worker is one that takes no step; a dead one is idle again."""

    at: str = "idle"  #: the step it takes next; see pipeline.py
    token: int = NULL
    version: int = NULL  #: of the message that rang, as long as it asks for the claim
    settled: bool = False  #: the earlier begin was settled as absent
    unsure: bool = False  #: a shot of this claim got no statement


class Call(NamedTuple):
    """A call of one of the functions that are fenced by a token."""

    function: str
    token: int
    version: int = NULL
    settled: bool = False
    outcome: str = ""


class World(NamedTuple):
    row: Row | None = None
    end: int = BEFORE_THE_END
    workers: tuple[Worker, ...] = ()
    late: tuple[Call, ...] = ()  #: copies of calls that reach the database after their sender gave up on them
    bookings: int = 0  #: in the gym's own books
    listed: bool = False  #: the gym's listing shows a booking
    strays: int = 0  #: booking requests under way whose sender waits no longer
    messages: tuple[int, ...] = ()  #: the versions for which QStash holds a message
    told_cancelled: bool = False  #: the user's cancel was answered 200
    other: str = "none"  #: the user's other prebooking of the class: none, waits, begun, booked, completed, failed

    @property
    def another(self) -> bool:
        """Whether the other is begun, or has the place."""
        return self.other == "begun" or self.others_place

    @property
    def others_place(self) -> bool:
        """Whether the booking at the gym is the other's."""
        return self.other in ("booked", "completed")


class Step(NamedTuple):
    words: str
    world: World
    fair: bool  #: happens by itself, given time; else it is a fault, a refusal, or the user's wish
    call: Call | None = None  #: the fenced call by which the row was written, if it was


@dataclass(frozen=True)
class Protocol:
    """The functions and the rules of the pipeline. Each can be taken away, to see what it is for."""

    claim: Callable[[Row, int, int, int, int], Answer] = claim_prebooking
    begin: Callable[[Row, int, int, int, bool, bool], Answer] = begin_booking
    renew: Callable[[Row, int], Answer] = renew_claim
    finish: Callable[[Row, int, str], Answer] = finish_booking
    release: Callable[[Row, int, bool, bool], Answer] = release_prebooking
    park: Callable[[Row, int, bool], Answer] = park_prebooking
    cancel: Callable[[Row], Answer] = cancel_prebooking

    settles_before_a_repeat: bool = True
    begins_before_it_fires: bool = True
    parks_what_is_unknown: bool = True
    silence_proves_nothing: bool = True  #: who got no answer asks the listing
    asks_again_when_unsure: bool = True  #: no refusal is believed in the claim of a shot without a statement
    stops_at_its_deadline: bool = True  #: `may_send`, and a begin lease that ends 12 s after the deadline
    cancels_in_the_database_first: bool = True
    sweeps: bool = True
    one_at_a_time: bool = True  #: of the prebookings that may be for one class

    @property
    def functions(self) -> tuple[object, ...]:
        return self.claim, self.begin, self.renew, self.finish, self.release, self.park, self.cancel


@dataclass(frozen=True)
class Outside:
    """The gym and the network. The protocol assumes that nothing dawdles, nor lags at a gym that books twice."""

    books_twice: bool = True  #: accepts two bookings for one hour
    listing_lags: bool = False  #: shows a booking only after a while, though within a begin's lease
    requests_dawdle: bool = False  #: a booking request may arrive after its begin's lease


HARD = Outside()


@dataclass(frozen=True)
class Bounds:
    """Everything else is unlimited: kills, lost answers, pauses, duplicates, deliveries."""

    workers: int = 2
    attempts: int = 2
    versions: int = 1  #: one more with each reschedule and retry
    late_calls: int = 0  #: at one time
    wished_twice: bool = False  #: the user also wishes the class otherwise, such as by its hour
    alike: bool = True  #: worlds that differ by the workers' names alone count once


@dataclass(frozen=True)
class Model:
    protocol: Protocol = Protocol()
    outside: Outside = HARD
    bounds: Bounds = Bounds()

    def start(self) -> World:
        return World(workers=(Worker(),) * self.bounds.workers)

    def call(self, row: Row, end: int, call: Call, *, another: bool = False) -> Answer:
        most = self.bounds.attempts
        match call.function:
            case "claim":
                return self.protocol.claim(row, end, call.token, call.version, most)
            case "begin":
                return self.protocol.begin(row, end, call.token, most, call.settled, another)
            case "renew":
                return self.protocol.renew(row, call.token)
            case "finish":
                return self.protocol.finish(row, call.token, call.outcome)
            case "release":
                return self.protocol.release(row, call.token, call.outcome == "too early", call.settled)
            case _:
                # After its own begin a worker parks until that lease's end, else for a delay.
                return self.protocol.park(row, call.token, row.begun_token != call.token)


Steps = Iterator[Step]
