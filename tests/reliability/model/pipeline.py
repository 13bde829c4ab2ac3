"""A worker's steps: to be read beside src/prebooking/usecases/booking/pipeline.py, resolve.py and record.py.

    idle → claim → settle → ready → begin → fire → await → … → finish, release or park → idle

Until it has begun its claim is renewed, again and again, or it hears that it is lost and stops.

Between any two of them it may be killed (or run out of time), or stand still for as long as it likes. Each call of the
database may lose its answer, or come late: then the worker repeats it, with the same token.
"""

from collections.abc import Callable

from tests.reliability.model.row import Row, is_only_to_be_settled, is_to_be_settled
from tests.reliability.model.world import FRESH, Call, Model, Step, Steps, Worker, World

IDLE = Worker()

# While it is there, its claim is renewed.
WAITS = ("settle", "settle only", "ready", "begin")
# From where a worker goes on to fire, while its deadline allows it.
MAY_SEND = ("begin", "fire", "too early", "nothing said")


def rings(model: Model, world: World, version: int, who: str) -> Steps:
    """A delivery, or the sweep (version 0), comes to a worker that has time."""
    idle = next((slot for slot, worker in enumerate(world.workers) if worker.at == "idle"), None)
    if idle is not None:
        yield from _claim(model, world, idle, Worker("claim", FRESH, version), f"{who} comes to {name(idle)}, who ")


def works(model: Model, world: World, slot: int) -> Steps:  # noqa: C901, PLR0912  # one case a step
    worker, me = world.workers[slot], name(slot)

    def goes_to(at: str, words: str, *, fair: bool = True, **change: bool) -> Step:
        return Step(f"{me} {words}", _with(world, slot, worker._replace(at=at, **change)), fair)

    match worker.at:
        case "idle":
            return
        case "claim":
            yield from _claim(model, world, slot, worker, f"{me} repeats: ")
        case "settle" | "settle only":
            if world.listed:
                yield goes_to("finish booked", "settles: the listing shows the booking")
            elif worker.at == "settle only":
                yield goes_to("finish failed", "settles: absent, and nothing may be sent any more", settled=True)
            else:
                yield goes_to("ready", "settles: absent", settled=True)
            yield goes_to(_perhaps_booked(model, world, worker), "can't settle", fair=False)
        case "ready":
            yield from _makes_ready(model, world, slot, worker)
        case "begin":
            yield from _begin(model, world, slot, worker, f"{me} repeats: ")
        case "fire":
            yield goes_to("await", "fires")
            yield goes_to(_not_booked(model, world, worker), "can't fire, or not in time")
        case "too early":
            yield goes_to("await", "fires again")
            if not worker.unsure:
                yield goes_to("release too early", "leaves the gym, which is late, to a later claim: no attempt")
                yield goes_to("finish failed", "gives up on the gym, which is late", fair=False)
            else:
                yield goes_to(_not_booked(model, world, worker), "can't fire, or not in time")
        case "await":
            strays = _with(world, slot, worker._replace(at="unanswered"), strays=world.strays + 1)
            yield Step(f"{me} waits no longer: its request is still under way", strays, fair=False)
        case "unanswered" | "nothing said" | "same hour" | "refused":
            if world.listed:
                yield goes_to("finish booked", "asks the listing: booked")
            else:
                yield goes_to(_absent(model, worker), "asks the listing: absent", unsure=_unsure(worker))
            unknown = _perhaps_booked(model, world, worker)
            yield goes_to(unknown, "can't ask the listing", fair=False, unsure=_unsure(worker))
        case ending:
            yield from _ends(model, world, slot, worker, ending)
    if worker.at in WAITS:
        yield from _renews(model, world, slot, worker)
    dead = _with(world, slot, IDLE, strays=world.strays + (worker.at == "await"))
    yield Step(f"{me} is killed", dead, fair=False)


def answered(world: World, slot: int, reply: str) -> World:
    """The gym's reply to this worker's request."""
    worker = world.workers[slot]
    at = {"booked": "finish booked"}.get(reply, reply)
    if reply == "refused" and not worker.unsure:
        at = "finish failed"
    return _with(world, slot, worker._replace(at=at))


def name(slot: int) -> str:
    return "ABCDEFGH"[slot]


def _claim(model: Model, world: World, slot: int, asking: Worker, words: str) -> Steps:
    def then(outcome: str, row: Row) -> Worker:
        if outcome != "claimed":
            return IDLE
        worker = Worker("ready", asking.token)
        if not (is_to_be_settled(row) and model.protocol.settles_before_a_repeat):
            return worker
        only = is_only_to_be_settled(row, world.end, model.bounds.attempts)
        return worker._replace(at="settle only" if only else "settle")

    call = Call("claim", asking.token, asking.version)
    yield from _asks(model, world, slot, asking, call, words, then)


def _renews(model: Model, world: World, slot: int, worker: Worker) -> Steps:
    call = Call("renew", worker.token)
    yield from _asks(
        model, world, slot, worker, call, f"{name(slot)} ", lambda outcome, _: worker if outcome == "renewed" else IDLE
    )


def _makes_ready(model: Model, world: World, slot: int, worker: Worker) -> Steps:
    def goes_to(at: str, words: str, *, fair: bool) -> Step:
        return Step(f"{name(slot)} {words}", _with(world, slot, worker._replace(at=at)), fair)

    if world.listed:
        yield goes_to("finish booked", "makes ready: booked already", fair=True)
    yield goes_to("finish failed", "makes ready: nothing to send (the session is dead, the class gone)", fair=False)
    yield goes_to(_not_booked(model, world, worker), "can't connect to the gym", fair=False)
    if model.protocol.begins_before_it_fires:
        yield from _begin(model, world, slot, worker, f"{name(slot)} ")
    else:
        yield goes_to("fire", "is ready", fair=not world.listed)


def _begin(model: Model, world: World, slot: int, worker: Worker, words: str) -> Steps:
    def then(outcome: str, row: Row) -> Worker:
        match outcome:
            case "begun":
                return worker._replace(at="fire")
            case "expired" | "attempts_exhausted":
                return worker._replace(at="finish failed")
            case _:
                return IDLE

    settled = worker.settled or not model.protocol.settles_before_a_repeat
    call = Call("begin", worker.token, settled=settled)
    fair = worker.at == "begin" or not world.listed  # who makes ready sees in time what is listed
    yield from _asks(model, world, slot, worker._replace(at="begin"), call, words, then, fair=fair)


def _ends(model: Model, world: World, slot: int, worker: Worker, ending: str) -> Steps:
    function, _, outcome = ending.partition(" ")
    call = Call(function, worker.token, settled=worker.settled, outcome=outcome)
    yield from _asks(model, world, slot, worker, call, f"{name(slot)} ", lambda *_: IDLE)


def _asks(
    model: Model,
    world: World,
    slot: int,
    waiting: Worker,
    call: Call,
    words: str,
    then: Callable[[str, Row], Worker],
    *,
    fair: bool = True,
) -> Steps:
    """Calls the database: the answer comes, or is lost, or the call itself is still on its way when it is repeated."""
    assert world.row is not None
    outcome, row = model.call(world.row, world.end, call, another=world.another)
    words += f"calls {call.function} → {outcome}"
    yield Step(words, _with(world, slot, then(outcome, row), row=row), fair, call)
    if row is not world.row:
        yield Step(f"{words}, but the answer is lost", _with(world, slot, waiting, row=row), fair=False, call=call)
    if len(world.late) < model.bounds.late_calls:
        late = _with(world, slot, waiting, late=(*world.late, call))
        yield Step(f"{words.rpartition('calls')[0]}calls {call.function}, which is delayed", late, fair=False)


def _with(world: World, slot: int, worker: Worker, **change: object) -> World:
    workers = (*world.workers[:slot], worker, *world.workers[slot + 1 :])
    return world._replace(workers=workers, **change)  # type: ignore[arg-type]  # the fields of World


# ---- decisions


def _unsure(worker: Worker) -> bool:
    return worker.unsure or worker.at in ("nothing said", "unanswered")


def _absent(model: Model, worker: Worker) -> str:
    match worker.at:
        case "nothing said":
            return "fire"
        case "unanswered" if not model.protocol.silence_proves_nothing:
            return "finish booked"
        case "same hour" | "refused" if not (worker.unsure and model.protocol.asks_again_when_unsure):
            return "finish failed"
        case _:
            return "park" if model.protocol.parks_what_is_unknown else "release"


def _perhaps_booked(model: Model, world: World, worker: Worker) -> str:
    return "park" if model.protocol.parks_what_is_unknown else _released(model, world)


def _not_booked(model: Model, world: World, worker: Worker) -> str:
    """No request of this claim may have booked, unless it is unsure."""
    return _perhaps_booked(model, world, worker) if worker.unsure else _released(model, world)


def _released(model: Model, world: World) -> str:
    """With all attempts used up a release is a failure."""
    assert world.row is not None
    return "finish failed" if world.row.attempts >= model.bounds.attempts else "release"
