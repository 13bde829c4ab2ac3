"""Each fault switch does what it says, as often as it says."""

import asyncio
from typing import Any

import httpx
import pytest
from qstash import Receiver
from qstash.errors import DailyMessageLimitExceededError, QStashError, RateLimitExceededError, SignatureError
from tests.local.qstash.qstash_world import World

from prebooking_local.qstash import DEV_CURRENT_KEY, DEV_NEXT_KEY


async def test_a_delivery_comes_in_several_copies_at_once(world: World) -> None:
    await world.fault(copies={"value": 3, "next": 1})
    world.target.open.clear()
    first = await world.publish("/copied")
    copies = await world.target.received(3)
    assert {one.headers["upstash-message-id"] for one in copies} == {first}
    assert {one.headers["upstash-retried"] for one in copies} == {"0"}
    world.target.open.set()
    await world.reaches(first, "delivered")
    assert len((await world.reaches(await world.publish(), "delivered"))["attempts"]) == 1


async def test_a_lost_message_is_neither_sent_nor_retried(world: World) -> None:
    await world.fault(lost={"value": True, "next": 1})
    lost = await world.publish("/lost")
    await world.publish("/found")
    assert [one.path for one in await world.target.received()] == ["/found"]
    assert (await world.message(lost))["state"] == "lost"


@pytest.mark.parametrize("shift", [-3.0, 3.0])
async def test_a_delivery_comes_early_or_late(world: World, shift: float) -> None:
    await world.fault(shift_s=shift)
    message_id = await world.publish(delay=10)
    world.clock.advance(10 + shift - 0.001)
    assert (await world.message(message_id))["state"] == "waiting"
    world.clock.advance(0.002)
    message = await world.reaches(message_id, "delivered")
    assert message["attempts"][0]["sentAt"] - message["notBefore"] == pytest.approx(shift, abs=0.002)


async def test_messages_of_one_instant_leave_in_another_order(world: World) -> None:
    await world.fault(ahead={"value": True, "next": 2}, parallelism=1)
    instant = int(world.clock.now) + 10
    for n in range(3):
        await world.publish(f"/{n}", not_before=instant)
    world.clock.advance(10)
    assert [one.path for one in await world.target.received(3)] == ["/1", "/0", "/2"]


async def test_while_down_nothing_is_delivered_and_afterwards_all_of_it(world: World) -> None:
    await world.fault(down=True)
    ids = [await world.publish() for _ in range(3)]
    world.clock.advance(3600)
    assert [(await world.message(one))["state"] for one in ids] == ["waiting"] * 3
    await world.http.delete("/_control/faults")
    await world.target.received(3)


async def test_parallelism_can_be_throttled_and_restored(world: World) -> None:
    await world.fault(parallelism=1)
    world.target.open.clear()
    ids = [await world.publish() for _ in range(4)]
    await world.target.received(1)
    assert [(await world.message(one))["state"] for one in ids].count("active") == 1
    await world.fault(parallelism=None)
    await world.target.received(4)


async def test_a_publish_whose_answer_is_lost_was_accepted(world: World) -> None:
    await world.fault(api_answer_lost={"value": True, "next": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        await world.publish(deduplication_id="one")
    await world.target.received()
    (message,) = await world.messages()
    assert await world.publish(deduplication_id="one") == message["messageId"]


async def test_a_refused_publish_was_not_accepted(world: World) -> None:
    await world.fault(api_refused={"value": True, "next": 1})
    with pytest.raises(httpx.TransportError):
        await world.publish()
    assert await world.messages() == []
    await world.publish()


async def test_a_hanging_publish_does_nothing_until_its_client_gives_up(world: World) -> None:
    await world.fault(api_hangs={"value": True, "next": 1})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.publish(), 0.05)
    assert await world.messages() == []


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_status_is_answered_instead_of_publishing(world: World, status: int) -> None:
    await world.fault(api_status={"value": status, "next": 1})
    answer = await world.http.post(f"/v2/publish/{world.target.url}")
    assert (answer.status_code, set(answer.json())) == (status, {"error"})
    assert await world.messages() == []
    await world.publish()


@pytest.mark.parametrize(
    ("family", "error"), [("daily", DailyMessageLimitExceededError), ("burst", RateLimitExceededError)]
)
async def test_the_sdk_recognises_both_kinds_of_429(world: World, family: str, error: type[QStashError]) -> None:
    await world.fault(api_limit={"value": family, "next": 1})
    with pytest.raises(error) as caught:
        await world.publish()
    assert isinstance(caught.value, DailyMessageLimitExceededError | RateLimitExceededError)
    assert (caught.value.limit, caught.value.remaining) == ("1000", "0")
    assert int(caught.value.reset or 0) > world.clock.now
    await world.publish()


async def test_an_api_fault_can_be_aimed_at_cancels_alone(world: World) -> None:
    await world.fault(api_status={"value": 500, "on": "cancel"})
    message_id = await world.publish(delay=10)
    with pytest.raises(QStashError, match="status: 500"):
        await world.sdk.message.cancel(message_id)
    assert (await world.message(message_id))["state"] == "waiting"


@pytest.mark.parametrize(
    "switch",
    [
        {"signing_key": "sig_" + "x" * 28},
        {"signed_url": "http://elsewhere.example/x"},
        {"signed_body": "another"},
        {"iat_skew_s": 60},
        {"iat_skew_s": -400},
    ],
)
async def test_a_forged_or_skewed_signature_does_not_verify(world: World, switch: dict[str, Any]) -> None:
    name, value = next(iter(switch.items()))
    await world.fault(**{name: {"value": value, "next": 1}})
    receiver = Receiver(DEV_CURRENT_KEY, DEV_NEXT_KEY)
    await world.publish()
    await world.target.received(1)
    await world.publish()
    forged, honest = await world.target.received(2)
    url = world.target.url + "/x"
    with pytest.raises(SignatureError):
        receiver.verify(signature=forged.headers["upstash-signature"], body=forged.body.decode(), url=url)
    receiver.verify(signature=honest.headers["upstash-signature"], body=honest.body.decode(), url=url)


async def test_the_keys_rotate_just_before_a_delivery(world: World) -> None:
    await world.fault(rotate_keys={"value": True, "next": 1})
    await world.publish()
    (delivery,) = await world.target.received()
    Receiver(DEV_NEXT_KEY, DEV_NEXT_KEY).verify(
        signature=delivery.headers["upstash-signature"], body=delivery.body.decode()
    )
    assert (await world.sdk.signing_key.get()).current == DEV_NEXT_KEY


async def test_chance_is_repeatable(world: World) -> None:
    outcomes = []
    for _ in range(2):
        await world.fault(lost={"value": True, "probability": 0.5, "seed": 7})
        ids = [await world.publish(body=n) for n in range(12)]
        outcomes.append(
            [
                (await world.comes_true(one, lambda message: message["state"] in {"lost", "delivered"}))["state"]
                for one in ids
            ]
        )
    assert outcomes[0] == outcomes[1]
    assert set(outcomes[0]) == {"lost", "delivered"}


async def test_switches_are_shown_and_a_wrong_one_changes_none(world: World) -> None:
    await world.fault(copies=2)
    shown = (await world.http.get("/_control/faults")).json()
    assert shown == {"copies": {"value": 2, "probability": 1.0, "seed": 0}}
    answer = await world.http.post("/_control/faults", json={"copies": None, "no_such_switch": 1})
    assert answer.status_code == 400
    assert (await world.http.get("/_control/faults")).json() == shown
    assert (await world.http.delete("/_control/faults")).json() == {}
