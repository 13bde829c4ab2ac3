"""What happens to a prebooking besides its workers: the user, QStash, the sweep, the gym, time, and late calls."""

from tests.reliability.model.pipeline import MAY_SEND, answered, name, rings, works
from tests.reliability.model.row import (
    BEFORE_THE_END,
    LONG_OVER,
    NULL,
    OVER,
    TOO_CLOSE,
    Row,
    attach_message,
    note_delivery_failure,
    reschedule_prebooking,
    retry_prebooking,
    sweep_executes,
    sweep_publishes,
)
from tests.reliability.model.world import FRESH, Model, Step, Steps, World


def steps(model: Model, world: World) -> Steps:
    """All that can happen next."""
    if world.row is None:
        yield from _armed(world, Row(), "the user creates it", fair=True)
        return
    for slot in range(len(world.workers)):
        yield from works(model, world, slot)
    yield from _user(model, world, world.row)
    yield from _qstash(model, world, world.row)
    if model.protocol.sweeps:
        yield from _sweep(model, world, world.row)
    yield from _gym(model, world)
    if model.bounds.wished_twice:
        yield from _other(model, world, world.row)
    yield from _time(model, world, world.row)
    yield from _late_calls(model, world, world.row)


def _armed(world: World, row: Row, words: str, *, fair: bool = False) -> Steps:
    """A row with a new version, whose message is published, or isn't: QStash is down, the process killed."""
    messages = tuple(sorted({*world.messages, row.version}))
    yield Step(f"{words}, its message is published", world._replace(row=row, messages=messages), fair)
    yield Step(f"{words}, its message is not published", world._replace(row=row), fair=False)


def _user(model: Model, world: World, row: Row) -> Steps:
    """Repeating a create, a reschedule or a retry whose answer was lost changes nothing: see the functions."""
    outcome, cancelled = model.protocol.cancel(row)
    if not model.protocol.cancels_in_the_database_first:
        if row.status == "pending" and not world.told_cancelled:
            told = world._replace(messages=(), told_cancelled=True)
            yield Step("the user cancels: QStash deletes the message, 200", told, fair=False)
        yield Step("the cancel reaches the row", world._replace(row=cancelled), fair=False)
    elif outcome == "cancelled":
        told = world._replace(row=cancelled, told_cancelled=True)
        yield Step("the user cancels: 200", told, fair=False)
        yield Step("the user cancels, but the answer is lost", world._replace(row=cancelled), fair=False)
    if row.version < model.bounds.versions:
        outcome, changed = reschedule_prebooking(row, world.end)
        if outcome == "rescheduled":
            yield from _armed(world, changed, "the user moves it")
        outcome, changed = retry_prebooking(row, world.end, FRESH)
        if outcome == "retried":
            yield from _armed(world, changed, "the user retries it")


def _qstash(model: Model, world: World, row: Row) -> Steps:
    """A message rings early, late, again and again, or never; its id may reach the row at any time."""
    for version in world.messages:
        yield from rings(model, world, version, f"the message of version {version}")
        fewer = world._replace(messages=tuple(v for v in world.messages if v != version))
        yield Step(f"QStash drops the message of version {version}", fewer, fair=False)
        noted = fewer._replace(row=note_delivery_failure(row, version)[1])
        yield Step(f"QStash gives up on the message of version {version}, and says so", noted, fair=False)
        outcome, attached = attach_message(row, version)
        if outcome == "attached":
            yield Step(f"message of version {version} attached", world._replace(row=attached), fair=False)
        else:
            yield Step(f"message of version {version} refused as {outcome}, and deleted", fewer, fair=False)


def _sweep(model: Model, world: World, row: Row) -> Steps:
    if sweep_executes(row, world.end):
        yield from rings(model, world, 0, "the sweep")
    if sweep_publishes(row, world.end):
        messages = tuple(sorted({*world.messages, row.version}))
        yield Step("the sweep publishes the message", world._replace(messages=messages), fair=True)


def _gym(model: Model, world: World) -> Steps:
    """Requests arrive and are answered, or their answers are lost; the listing catches up."""
    for slot, worker in enumerate(world.workers):
        if worker.at != "await":
            continue
        whose = f"{name(slot)}'s request"
        for words, after, reply, fair in _replies(model, world):
            yield Step(f"{whose} {words}", answered(after, slot, reply), fair)
            yield Step(f"{whose} {words}, but the answer is lost", answered(after, slot, "unanswered"), fair=False)
            yield Step(f"{whose} {words}, but the answer says 500", answered(after, slot, "nothing said"), fair=False)
        yield Step(f"{whose} is lost on its way", answered(world, slot, "unanswered"), fair=False)
    if world.strays:
        fewer = world._replace(strays=world.strays - 1)
        for words, after, _, fair in _replies(model, fewer):
            yield Step(f"a request whose sender is gone {words}", after, fair)
        yield Step("a request whose sender is gone is lost on its way", fewer, fair=True)
    if world.bookings and not world.listed:
        yield Step("the listing shows the booking", world._replace(listed=True), fair=True)


def _replies(model: Model, world: World) -> list[tuple[str, World, str, bool]]:
    refused = ("is refused", world, "refused", False)
    if world.bookings and not model.outside.books_twice:
        return [("is refused: booked at that hour", world, "same hour", True), refused]
    booked = world._replace(bookings=world.bookings + 1, listed=world.listed or not model.outside.listing_lags)
    return [("is booked", booked, "booked", True), refused, ("comes too early for the gym", world, "too early", False)]


def _other(model: Model, world: World, row: Row) -> Steps:
    """The same class, wished by its hour: its execution, without what this one shows of killed workers."""

    def goes_to(other: str, words: str, *, fair: bool = True, **change: int | bool) -> Step:
        return Step(f"the other {words}", world._replace(other=other, **change), fair)  # type: ignore[arg-type]

    match world.other:
        case "none":
            yield goes_to("waits", "is wished", fair=False)
        case "waits":
            in_the_way = row.begun_token != NULL or row.status == "completed"
            if world.listed:
                yield goes_to("failed", "finds the place of this one")  # already_booked
            elif not (in_the_way and model.protocol.one_at_a_time):
                yield goes_to("begun", "begins", fair=False)
        case "begun":
            if not world.bookings or model.outside.books_twice:
                listed = world.listed or not model.outside.listing_lags
                yield goes_to("booked", "is booked", fair=False, bookings=world.bookings + 1, listed=listed)
            yield goes_to("failed", "is not booked, and ends")
        case "booked":
            yield goes_to("completed", "ends as booked")


def _time(model: Model, world: World, row: Row) -> Steps:
    if not row.opened:
        yield Step("the opening comes", world._replace(row=row._replace(opened=True)), fair=True)
    if row.waits and world.other not in ("begun", "booked"):
        yield Step("the wait for the retry ends", world._replace(row=row._replace(waits=False)), fair=True)
    if row.leased and not (row.begun_token and _may_still_arrive(model, world, row)):
        yield Step("the lease ends", world._replace(row=row._replace(leased=False)), fair=True)
    if row.opened and world.end == BEFORE_THE_END:
        yield Step("the class starts so soon that it is booked no more", world._replace(end=TOO_CLOSE), fair=True)
    elif world.end == TOO_CLOSE:
        yield Step("the class starts: give_up_at", world._replace(end=OVER), fair=True)
    elif world.end == OVER:
        yield Step("24 hours pass", world._replace(end=LONG_OVER), fair=True)


def _may_still_arrive(model: Model, world: World, row: Row) -> bool:
    """Whether a begin's lease can't have ended yet: it outlasts its worker's deadline by more than anything dawdles."""
    if not model.outside.requests_dawdle:
        if world.strays or any(w.at == "await" for w in world.workers):
            return True
        if world.listed != (world.bookings > 0):
            return True
    holder = next((w.at for w in world.workers if w.token == row.begun_token), "idle")
    return model.protocol.stops_at_its_deadline and holder in MAY_SEND


def _late_calls(model: Model, world: World, row: Row) -> Steps:
    for place, call in enumerate(world.late):
        outcome, changed = model.call(row, world.end, call, another=world.another)
        fewer = (*world.late[:place], *world.late[place + 1 :])
        yield Step(f"a delayed {call.function} is lost", world._replace(late=fewer), fair=True)
        yield Step(
            f"a delayed {call.function} arrives → {outcome}", world._replace(row=changed, late=fewer), False, call
        )
