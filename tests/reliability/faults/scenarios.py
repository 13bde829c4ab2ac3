"""How the points of the service are reached, for the first time and again: what the matrix does in a cell."""

import asyncio
import json
from base64 import b64encode
from contextlib import suppress
from datetime import timedelta

import httpx
from tests.reliability.faults.aim import Aim, NeverStruckError
from tests.reliability.faults.environment import Stage
from tests.reliability.faults.failpoints import Action
from tests.reliability.faults.gym import BOOK, LISTING, WHOAMI

from prebooking_local.qstash.clock import SystemClock
from prebooking_local.qstash.faults import Faults
from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN, KeyRing, Signer

_CALLBACK_TRIES = 6  # as QStash has them
_RELEASED = "status = 'pending' and ended_token is not null"


# ---- what a user does: tried again by the client, whose request got no answer ------------------------------------


async def create(stage: Stage, aim: Aim) -> None:
    await aim.take_twice()
    await stage.prebook()


async def order_again(stage: Stage, aim: Aim) -> None:
    """The sweep orders the message that the create could not order, or not note."""
    await aim.take_twice(f"{aim.call}:before")
    await stage.prebook()


async def cancel(stage: Stage, aim: Aim) -> None:
    prebooking_id = await stage.prebook()
    await aim.take_twice()
    for _ in range(2 if aim.again else 1):  # a lost delete at QStash is no reason for the client, but for us
        await stage.cancel(prebooking_id)


async def reschedule(stage: Stage, aim: Aim) -> None:
    """A repeat may be refused: it has been moved, and by now it may be under way."""
    await _move(stage, aim, first_at=aim.point)


async def reschedule_unnoted(stage: Stage, aim: Aim) -> None:
    """Its message was ordered and could not be noted, so the repeat orders it again; a noted one it would leave."""
    await _move(stage, aim, first_at=f"{aim.call}:before")


async def _move(stage: Stage, aim: Aim, first_at: str) -> None:
    prebooking_id = await stage.prebook(stage.box.opens_at - timedelta(seconds=2))
    await aim.take_twice(first_at)
    for _ in range(2 if aim.again else 1):
        moved = {"available_at": stage.box.opens_at.isoformat()}
        await stage.ask("PATCH", f"/prebookings/{prebooking_id}", moved, refusal=409)


async def retry(stage: Stage, aim: Aim) -> None:
    """Failed because nobody was signed in. A retry whose answer was lost is refused when it is repeated: it waits."""
    prebooking_id = await stage.prebook()
    await stage.until("status = 'failed' and error_code = 'session_expired'")
    await stage.sign_in()
    await aim.take_twice()
    await stage.ask("POST", f"/prebookings/{prebooking_id}/retry", refusal=409)


async def look(stage: Stage, aim: Aim) -> None:
    prebooking_id = await stage.prebook()
    await aim.take_twice()
    answer = await stage.ask("GET", "/prebookings")
    assert [row["id"] for row in answer.json()["prebookings"]] == [prebooking_id]


async def connect(stage: Stage, aim: Aim) -> None:
    """What is connected books."""
    session = await stage.box.new_session()
    await aim.take_twice()
    connected = {name: session[name] for name in ("cookies", "token", "fingerprint")}
    await stage.ask("PUT", "/session", connected)
    await stage.prebook()


async def look_at_session(stage: Stage, aim: Aim) -> None:
    await aim.take_twice()
    assert (await stage.ask("GET", "/session")).json()["alive"] is True
    await stage.prebook()


async def disconnect(stage: Stage, aim: Aim) -> None:
    """It is gone, and a sign-in of a device books, which a late copy of the request leaves alone."""
    await aim.take_twice()
    await stage.ask("DELETE", "/session")
    assert not await stage.database.fetchval("select count(*) from public.auth_sessions")
    await stage.sign_in("device")
    await stage.prebook()


# ---- what QStash does --------------------------------------------------------------------------------------------


async def note(stage: Stage, aim: Aim) -> None:
    """QStash gives up on the message and says so, until it is answered or has given that up too."""
    prebooking_id = await stage.prebook()
    message_id = await stage.database.fetchval("select qstash_schedule_id from public.prebookings")
    if message_id is None:  # QStash was too slow for the create
        raise NeverStruckError
    token = {"Authorization": f"Bearer {DEV_TOKEN}"}
    deleted = await stage.stack.http.delete(f"{stage.stack.qstash_url}/v2/messages/{message_id}", headers=token)
    assert deleted.is_success, deleted.text
    await aim.take_twice()
    url = f"{stage.first.url}/qstash/prebooking-failed"
    body = _callback(prebooking_id)
    for _ in range(_CALLBACK_TRIES):
        headers = {"Upstash-Signature": _SIGNER.sign(url, body), "Connection": "close"}
        with suppress(httpx.TransportError):
            answer = await stage.stack.http.post(url, content=body, headers=headers, timeout=1.5)
            if answer.is_success:
                return
        await asyncio.sleep(0.5)


async def execute(stage: Stage, aim: Aim) -> None:
    await aim.take()
    await stage.prebook()


async def execute_again(stage: Stage, aim: Aim) -> None:
    """The gym blocked the first request: the row was released, and is claimed again."""
    await stage.box.spoil("status", BOOK, status=429, times=1)
    await stage.prebook()
    await stage.until(_RELEASED)
    await aim.take()


async def settle(stage: Stage, aim: Aim) -> None:
    """The first request's answer was lost, and then the listing was silent: the row was parked, and is settled.

    Where the point is reached either way the gym had booked; elsewhere the request was lost too.
    """
    had_booked = aim.call in ("store.claim", "gym.listing", "store.finish")
    await stage.box.spoil("reset", BOOK, times=1, handled=had_booked)
    await stage.box.spoil("status", LISTING, status=500)
    await stage.prebook()
    await stage.until("parks = 1")
    await stage.box.recover()
    await aim.take()


async def fail(stage: Stage, aim: Aim) -> None:
    """The gym no longer lists the class, until the fault has struck; again: not in the second execution."""
    if aim.again:
        await stage.box.spoil("status", BOOK, status=429, times=1)
        await stage.prebook()
        await stage.until(_RELEASED)
    await stage.box.withdraw_class()
    await aim.take()
    if not aim.again:
        await stage.prebook()


async def release(stage: Stage, aim: Aim) -> None:
    await stage.box.spoil("status", BOOK, status=429, times=2 if aim.again else 1)
    if not aim.again:
        await aim.take()
    await stage.prebook()
    if aim.again:
        await stage.until(_RELEASED)
        await aim.take()


async def park(stage: Stage, aim: Aim) -> None:
    """The gym has booked; again: the listing is still silent when the row is claimed to be settled."""
    await stage.box.spoil("reset", BOOK, times=1, handled=True)
    await stage.box.spoil("status", LISTING, status=500)
    if not aim.again:
        await aim.take()
    await stage.prebook()
    if aim.again:
        await stage.until("parks = 1")
        await aim.take()


async def refresh(stage: Stage, aim: Aim) -> None:
    """The gym takes the session for dead; again: in the second execution, after a release."""
    if aim.again:
        await stage.box.spoil("status", BOOK, status=429, times=1)
        await stage.prebook()
        await stage.until(_RELEASED)
    await stage.box.spoil("logout", WHOAMI, times=1)
    await aim.take()
    if not aim.again:
        await stage.prebook()


async def sweep(stage: Stage, aim: Aim) -> None:
    """No message rings: the order for it was lost."""
    await stage.first.arm("messages.publish:before", Action.LOSE)
    await stage.prebook()
    await aim.take_twice()


_SIGNER = Signer(KeyRing(DEV_CURRENT_KEY, DEV_NEXT_KEY), SystemClock(), Faults())


def _callback(prebooking_id: str) -> bytes:
    source = json.dumps({"prebooking_id": prebooking_id, "version": 1}).encode()
    return json.dumps({"status": 502, "body": "", "sourceBody": b64encode(source).decode()}).encode()
