"""What the destination receives, when, and how often."""

import asyncio
import base64
import hashlib
import time
from email.utils import formatdate

import pytest
from qstash import Receiver
from tests.local.qstash.qstash_world import Delivery, Front, World, qstash_world

from prebooking_local.qstash import DEV_CURRENT_KEY, DEV_NEXT_KEY
from prebooking_local.qstash.clock import SystemClock


def verify(delivery: Delivery, url: str, *, current: str = DEV_CURRENT_KEY, following: str = DEV_NEXT_KEY) -> None:
    receiver = Receiver(current, following)
    receiver.verify(signature=delivery.headers["upstash-signature"], body=delivery.body.decode("latin-1"), url=url)


async def test_the_destination_receives_the_published_bytes_and_headers(world: World) -> None:
    body = bytes(range(256))
    answer = await world.sdk.message.publish(
        url=world.target.url + "/x",
        body=body,
        content_type="application/octet-stream",
        method="PUT",
        headers={"X-Trace": "t1"},
    )
    assert not isinstance(answer, list)
    (delivery,) = await world.target.received()
    assert delivery.line == "PUT /x HTTP/1.1"
    assert delivery.body == body
    signature = delivery.headers.pop("upstash-signature")
    assert signature.count(".") == 2
    assert delivery.headers == {
        "host": world.target.url.removeprefix("http://"),
        "content-length": "256",
        "connection": "close",
        "user-agent": "Upstash-QStash",
        "content-type": "application/octet-stream",
        "x-trace": "t1",
        "upstash-message-id": answer.message_id,
        "upstash-retried": "0",
        "upstash-caller-ip": "127.0.0.1",
        "upstash-region": "EU-CENTRAL-1",
    }


async def test_the_sdks_receiver_verifies_a_delivery_for_its_own_url_only(world: World) -> None:
    await world.publish("/x/", body={"a": 1})
    (delivery,) = await world.target.received()
    verify(delivery, world.target.url + "/x/")
    with pytest.raises(Exception, match="Invalid subject"):
        verify(delivery, world.target.url + "/x", current=DEV_NEXT_KEY, following=DEV_CURRENT_KEY)


async def test_the_signature_carries_the_documented_claims(world: World) -> None:
    await world.publish("/x", body={"a": 1})
    (delivery,) = await world.target.received()
    claims = delivery.claims
    assert claims.pop("jti").startswith("jwt_")
    assert claims == {
        "iss": "Upstash",
        "sub": world.target.url + "/x",
        "iat": int(world.clock.now),
        "exp": int(world.clock.now) + 300,
        "nbf": 0,
        "body": base64.urlsafe_b64encode(hashlib.sha256(b'{"a": 1}').digest()).decode(),
    }


async def test_each_attempt_is_signed_anew_under_the_same_message_id(world: World) -> None:
    world.target.replies = [(500, {}), (500, {})]
    message_id = await world.publish(retries=2, retry_delay="400000")
    for attempt in (1, 2):
        await world.attempted(message_id, attempt)
        world.clock.advance(400)
    deliveries = await world.target.received(3)
    assert [one.headers["upstash-retried"] for one in deliveries] == ["0", "1", "2"]
    assert {one.headers["upstash-message-id"] for one in deliveries} == {message_id}
    first = deliveries[0].claims["iat"]
    assert [one.claims["iat"] - first for one in deliveries] == [0, 400, 800]
    assert len({one.claims["jti"] for one in deliveries}) == 3


async def test_the_default_backoff_is_the_documented_one(world: World) -> None:
    world.target.replies = [(500, {})] * 6
    message_id = await world.publish(retries=5)
    waits = []
    for attempt in range(1, 6):
        await world.attempted(message_id, attempt)
        waits.append(await world.retry_wait(message_id))
        world.clock.advance(waits[-1] + 0.001)
    assert waits == pytest.approx([12.182, 148.413, 1808.042, 22026.466, 86400], abs=0.002)
    await world.reaches(message_id, "failed")


async def test_the_speed_shortens_what_the_server_makes_up_but_not_what_the_destination_asks_for(
    front: Front,
) -> None:
    async with qstash_world(front, backoff_speed=10) as world:
        world.target.replies = [(500, {}), (503, {"Retry-After": "9"})]
        own, asked = await world.publish(), await world.publish()
        for message_id, wait in ((own, 1.218), (asked, 9)):
            await world.attempted(message_id, 1)
            assert await world.retry_wait(message_id) == pytest.approx(wait, abs=0.002)


async def test_without_a_wish_a_message_is_retried_three_times(front: Front) -> None:
    async with qstash_world(front) as world:
        world.target.replies = [(500, {})] * 9
        message_id = await world.publish(retry_delay="0")
        assert len((await world.reaches(message_id, "failed"))["attempts"]) == 4


async def test_a_retry_delay_expression_decides_the_waits(world: World) -> None:
    world.target.replies = [(500, {})] * 3
    message_id = await world.publish(retries=3, retry_delay="1000 * (1 + retried)")
    waits = []
    for attempt in (1, 2, 3):
        await world.attempted(message_id, attempt)
        waits.append(await world.retry_wait(message_id))
        world.clock.advance(waits[-1] + 0.001)
    assert waits == [1, 2, 3]
    await world.reaches(message_id, "delivered")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "6m0s"}, 360),
        ({"Retry-After": "1h1.5s"}, 3601.5),
        ({"Retry-After": "date"}, 90),
        ({"X-RateLimit-Reset": "30"}, 30),
        ({"X-RateLimit-Reset-Requests": "31"}, 31),
        ({"X-RateLimit-Reset-Tokens": "32ms"}, 0.032),
        ({"Retry-After": "86401"}, 5),
        ({"Retry-After": "later"}, 5),
    ],
)
async def test_the_destination_may_ask_for_its_own_wait_of_up_to_a_day(
    world: World, headers: dict[str, str], expected: float
) -> None:
    world.clock.now = float(int(world.clock.now))
    if headers.get("Retry-After") == "date":
        headers = {"Retry-After": formatdate(world.clock.now + 90, usegmt=True)}
    world.target.replies = [(503, headers)]
    message_id = await world.publish(retry_delay="5000")
    await world.comes_true(message_id, lambda message: bool(message["attempts"][0:1]))
    await world.comes_true(message_id, lambda message: message["attempts"][0]["status"] == 503)
    assert await world.retry_wait(message_id) == expected


async def test_489_marked_as_not_retryable_fails_at_once(world: World) -> None:
    world.target.replies = [(489, {"Upstash-NonRetryable-Error": "true"}), (489, {})]
    final, plain = await world.publish(), await world.publish()
    await world.reaches(final, "failed")
    assert (await world.attempted(plain, 1))["state"] == "waiting"


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 500, 503])
async def test_anything_but_2xx_is_a_failed_attempt_and_no_redirect_is_followed(world: World, status: int) -> None:
    world.target.replies = [(status, {"Location": world.target.url + "/elsewhere"})]
    message_id = await world.publish("/here")
    message = await world.attempted(message_id, 1)
    assert (message["state"], message["attempts"][0]["status"]) == ("waiting", status)
    assert [one.path for one in world.target.deliveries] == ["/here"]


async def test_no_answer_within_the_timeout_is_a_failed_attempt(world: World) -> None:
    world.target.open.clear()
    message_id = await world.publish(timeout=30, retry_delay="1000")
    await world.target.received(1)
    world.clock.advance(29)
    assert (await world.message(message_id))["state"] == "active"
    world.clock.advance(2)
    message = await world.attempted(message_id, 1)
    assert message["attempts"][0]["error"] == "no answer within 30 s"
    world.clock.advance(1.001)
    await world.target.received(2)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", f"http://{'a' * 70}.invalid/"])
async def test_a_destination_nobody_listens_at_is_a_failed_attempt(world: World, url: str) -> None:
    answer = await world.sdk.message.publish_json(url=url, body={})
    assert not isinstance(answer, list)
    message = await world.attempted(answer.message_id, 1)
    assert (message["state"], message["attempts"][0]["status"]) == ("waiting", 0)
    assert message["attempts"][0]["error"]


async def test_at_most_as_many_deliveries_as_allowed_run_at_once_and_the_rest_waits_in_order(front: Front) -> None:
    async with qstash_world(front, parallelism=2) as world:
        world.target.open.clear()
        ids = [await world.publish(f"/{n}") for n in range(6)]
        await world.target.received(2)
        states = [(await world.message(one))["state"] for one in ids]
        assert states == ["active"] * 2 + ["waiting"] * 4
        world.target.open.set()
        deliveries = await world.target.received(6)
        sent = [(await world.reaches(one, "delivered"))["attempts"][0]["sentAt"] for one in ids]
        assert sent == sorted(sent)
        assert {one.path for one in deliveries[:2]} == {"/0", "/1"}


async def test_hundreds_of_messages_for_one_instant_leave_promptly_and_none_early(front: Front) -> None:
    async with qstash_world(front, clock=SystemClock(), parallelism=300) as world:
        instant = int(time.time()) + 2
        body = [{"url": world.target.url, "not_before": instant} for _ in range(300)]
        await world.sdk.message.batch(body)  # type: ignore[arg-type]  # plain dictionaries are what it takes
        assert time.time() < instant
        await asyncio.sleep(instant - time.time())
        await world.target.received(300)
        lateness = [message["attempts"][0]["sentAt"] - instant for message in await world.messages()]
        assert len(lateness) == 300
        assert min(lateness) >= 0
        assert max(lateness) < 2  # a busy machine's bound: alone it is a tenth of that
        newest = await world.http.get("/v2/events", params={"state": "ACTIVE", "count": 1})
        (last_begun,) = newest.json()["events"]
        assert instant + min(lateness) < last_begun["time"] / 1000  # the first did not wait until all were signed


async def test_a_single_message_leaves_within_milliseconds_of_its_instant(front: Front) -> None:
    async with qstash_world(front, clock=SystemClock()) as world:
        message_id = await world.publish(delay=1)
        message = await world.reaches(message_id, "delivered")
        lateness = message["attempts"][0]["sentAt"] - message["notBefore"]
        assert 0 <= lateness < 0.2  # a busy machine's bound: alone it is one or two milliseconds
