"""How the points of the service are reached, for the first time and again: what the matrix runs in a case."""

import asyncio
import json
from base64 import b64encode
from contextlib import suppress
from datetime import timedelta

import httpx
from tests.reliability.faults.environment import Environment
from tests.reliability.faults.failpoints import Action
from tests.reliability.faults.fault_injection import FaultInjection, NotReachedError
from tests.reliability.faults.gym import BOOK, LISTING, WHOAMI

from prebooking_local.qstash.clock import SystemClock
from prebooking_local.qstash.faults import Faults
from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN, KeyRing, Signer

_CALLBACK_TRIES = 6  # as QStash has them
_RELEASED = "status = 'pending' and ended_token is not null"


# ---- what a user does: tried again by the client, whose request got no answer ------------------------------------


async def create(environment: Environment, fault: FaultInjection) -> None:
    await fault.arm_twice()
    await environment.prebook()


async def order_again(environment: Environment, fault: FaultInjection) -> None:
    """The sweep publishes the message that the create could not publish, or not note."""
    await fault.arm_twice(f"{fault.call}:before")
    await environment.prebook()


async def cancel(environment: Environment, fault: FaultInjection) -> None:
    prebooking_id = await environment.prebook()
    await fault.arm_twice()
    for _ in range(2 if fault.again else 1):  # a lost delete at QStash is no reason for the client, but for us
        await environment.cancel(prebooking_id)


async def give_back(environment: Environment, fault: FaultInjection) -> None:
    """The place of what has been booked. Again: the call that follows one that was lost before it was made."""
    prebooking_id = await environment.prebook()
    await environment.until("status = 'completed'")
    await fault.arm_twice(f"{fault.call}:before")
    await environment.ask("DELETE", f"/prebookings/{prebooking_id}/booking")


async def reschedule(environment: Environment, fault: FaultInjection) -> None:
    """A repeat may be refused: it has been moved, and by now it may be under way."""
    await _move(environment, fault, first_at=fault.point)


async def reschedule_unnoted(environment: Environment, fault: FaultInjection) -> None:
    """Its message was published, but not noted: the repeat publishes it again; a noted one it would leave."""
    await _move(environment, fault, first_at=f"{fault.call}:before")


async def _move(environment: Environment, fault: FaultInjection, first_at: str) -> None:
    prebooking_id = await environment.prebook(environment.box.opens_at - timedelta(seconds=2))
    await fault.arm_twice(first_at)
    for _ in range(2 if fault.again else 1):
        moved = {"available_at": environment.box.opens_at.isoformat()}
        await environment.ask("PATCH", f"/prebookings/{prebooking_id}", moved, refusal=409)


async def retry(environment: Environment, fault: FaultInjection) -> None:
    """Failed because nobody was signed in. A retry whose answer was lost is refused when it is repeated: it waits."""
    prebooking_id = await environment.prebook()
    await environment.until("status = 'failed' and error_code = 'session_expired'")
    await environment.sign_in()
    await fault.arm_twice()
    await environment.ask("POST", f"/prebookings/{prebooking_id}/retry", refusal=409)


async def look(environment: Environment, fault: FaultInjection) -> None:
    prebooking_id = await environment.prebook()
    await fault.arm_twice()
    answer = await environment.ask("GET", "/prebookings")
    assert [row["id"] for row in answer.json()["prebookings"]] == [prebooking_id]


async def connect(environment: Environment, fault: FaultInjection) -> None:
    """What is connected books."""
    session = await environment.box.new_session()
    await fault.arm_twice()
    connected = {name: session[name] for name in ("cookies", "token", "fingerprint")}
    await environment.ask("PUT", "/session", connected)
    await environment.prebook()


async def look_at_session(environment: Environment, fault: FaultInjection) -> None:
    await fault.arm_twice()
    assert (await environment.ask("GET", "/session")).json()["alive"] is True
    await environment.prebook()


async def disconnect(environment: Environment, fault: FaultInjection) -> None:
    """It is gone, and a sign-in of a device books, which a late copy of the request leaves alone."""
    await fault.arm_twice()
    await environment.ask("DELETE", "/session")
    assert not await environment.database.fetchval("select count(*) from public.auth_sessions")
    await environment.sign_in("device")
    await environment.prebook()


# ---- what QStash does --------------------------------------------------------------------------------------------


async def note(environment: Environment, fault: FaultInjection) -> None:
    """QStash gives up on the message and says so, until it is answered or has given that up too."""
    prebooking_id = await environment.prebook()
    message_id = await environment.database.fetchval("select qstash_schedule_id from public.prebookings")
    if message_id is None:  # QStash was too slow for the create
        raise NotReachedError
    token = {"Authorization": f"Bearer {DEV_TOKEN}"}
    deleted = await environment.stack.http.delete(
        f"{environment.stack.qstash_url}/v2/messages/{message_id}", headers=token
    )
    assert deleted.is_success, deleted.text
    await fault.arm_twice()
    url = f"{environment.first.url}/qstash/prebooking-failed"
    body = _callback(prebooking_id)
    for _ in range(_CALLBACK_TRIES):
        headers = {"Upstash-Signature": _SIGNER.sign(url, body), "Connection": "close"}
        with suppress(httpx.TransportError):
            answer = await environment.stack.http.post(url, content=body, headers=headers, timeout=1.5)
            if answer.is_success:
                return
        await asyncio.sleep(0.5)


async def execute(environment: Environment, fault: FaultInjection) -> None:
    await fault.arm()
    await environment.prebook()


async def execute_again(environment: Environment, fault: FaultInjection) -> None:
    """The gym blocked the first request: the row was released, and is claimed again."""
    await environment.box.inject_fault("status", BOOK, status=429, times=1)
    await environment.prebook()
    await environment.until(_RELEASED)
    await fault.arm()


async def settle(environment: Environment, fault: FaultInjection) -> None:
    """The first request's answer was lost, and then the listing was silent: the row was parked, and is settled.

    Where the point is reached either way the gym had booked; elsewhere the request was lost too.
    """
    had_booked = fault.call in ("store.claim", "gym.listing", "store.finish")
    await environment.box.inject_fault("reset", BOOK, times=1, handled=had_booked)
    await environment.box.inject_fault("status", LISTING, status=500)
    await environment.prebook()
    await environment.until("parks = 1")
    await environment.box.clear_faults()
    await fault.arm()


async def settle_by_hour(environment: Environment, fault: FaultInjection) -> None:
    """The same where the listing alone tells which class to book: it was silent from then on."""
    had_booked = fault.call == "store.finish"
    await environment.box.inject_fault("reset", BOOK, times=1, handled=had_booked, seconds=1)
    await environment.prebook()
    while not await environment.box.requests_ns():
        await asyncio.sleep(0.1)
    await environment.box.inject_fault("status", LISTING, status=500)
    await environment.until("parks = 1")
    await environment.box.clear_faults()
    await fault.arm()


async def execute_twice(environment: Environment, fault: FaultInjection) -> None:
    """One class, wished by its id and by its hour and name."""
    await fault.arm()
    for by_hour in (False, True):
        environment.by_hour = by_hour
        await environment.prebook()


async def fail(environment: Environment, fault: FaultInjection) -> None:
    """The gym has cancelled the class, until the fault was triggered; again: not before the second execution."""
    if fault.again:
        await environment.box.inject_fault("status", BOOK, status=429, times=1)
        await environment.prebook()
        await environment.until(_RELEASED)
    await environment.box.withdraw_class()
    await fault.arm()
    if not fault.again:
        await environment.prebook()


async def release(environment: Environment, fault: FaultInjection) -> None:
    await environment.box.inject_fault("status", BOOK, status=429, times=2 if fault.again else 1)
    if not fault.again:
        await fault.arm()
    await environment.prebook()
    if fault.again:
        await environment.until(_RELEASED)
        await fault.arm()


async def park(environment: Environment, fault: FaultInjection) -> None:
    """The gym has booked; again: the listing is still silent when the row is claimed to be settled."""
    await environment.box.inject_fault("reset", BOOK, times=1, handled=True)
    await environment.box.inject_fault("status", LISTING, status=500)
    if not fault.again:
        await fault.arm()
    await environment.prebook()
    if fault.again:
        await environment.until("parks = 1")
        await fault.arm()


async def refresh(environment: Environment, fault: FaultInjection) -> None:
    """The gym takes the session for dead; again: in the second execution, after a release."""
    if fault.again:
        await environment.box.inject_fault("status", BOOK, status=429, times=1)
        await environment.prebook()
        await environment.until(_RELEASED)
    await environment.box.inject_fault("logout", WHOAMI, times=1)
    await fault.arm()
    if not fault.again:
        await environment.prebook()


async def sweep(environment: Environment, fault: FaultInjection) -> None:
    """QStash delivers no message: the order for it was lost."""
    await environment.first.arm("messages.publish:before", Action.LOSE)
    await environment.prebook()
    await fault.arm_twice()


_SIGNER = Signer(KeyRing(DEV_CURRENT_KEY, DEV_NEXT_KEY), SystemClock(), Faults())


def _callback(prebooking_id: str) -> bytes:
    source = json.dumps({"prebooking_id": prebooking_id, "version": 1}).encode()
    return json.dumps({"status": 502, "body": "", "sourceBody": b64encode(source).decode()}).encode()
