"""Messages of one key wait for each other and for no other; what is redacted is delivered as it is."""

import base64
import hashlib
import json

import pytest
from qstash.errors import QStashError
from tests.local.qstash.qstash_world import World


def shown(value: str) -> str:
    return f"REDACTED:{hashlib.sha256(value.encode()).hexdigest()}"


async def test_of_one_key_so_many_are_delivered_at_once_and_others_do_not_wait(world: World) -> None:
    world.target.open.clear()
    flow = {"key": "notices", "parallelism": 2}
    ids = [await world.publish(f"/{n}", flow_control=flow) for n in range(5)]
    await world.publish("/other")
    arrived = await world.target.received(3)
    assert sorted(delivery.line.split()[1] for delivery in arrived) == ["/0", "/1", "/other"]
    world.target.open.set()
    for message_id in ids:
        await world.reaches(message_id, "delivered")
    assert [d.line.split()[1] for d in world.target.deliveries if d.line.split()[1] != "/other"][2:] == [
        *("/2", "/3", "/4")
    ]


async def test_a_cancelled_one_keeps_nobody_in_its_line_waiting(world: World) -> None:
    world.target.open.clear()
    first, second, third = [await world.publish(f"/{n}", flow_control={"key": "k", "parallelism": 1}) for n in range(3)]
    await world.target.received(1)
    await world.sdk.message.cancel(second)
    world.target.open.set()
    for message_id in (first, third):
        await world.reaches(message_id, "delivered")
    assert [delivery.line.split()[1] for delivery in world.target.deliveries] == ["/0", "/2"]


async def test_flow_control_that_it_does_not_have_is_refused_loudly(world: World) -> None:
    with pytest.raises(QStashError, match="501"):
        await world.publish(flow_control={"key": "k", "rate": 5})


async def test_what_is_redacted_is_delivered_and_shown_by_its_hash_alone(world: World) -> None:
    world.target.replies = [(500, {})]
    message_id = await world.publish(
        body={"a": 1},
        headers={"X-Secret": "s3cret", "X-Plain": "plain"},
        redact={"body": True, "header": ["X-Secret"]},
        retries=0,
        failure_callback=world.target.url + "/failed",
        failure_callback_headers={"Forward-X-Secret": "s3cret"},
    )
    delivery, callback = await world.target.received(2)
    assert (delivery.body, delivery.headers["x-secret"]) == (b'{"a": 1}', "s3cret")
    assert callback.headers["x-secret"] == "s3cret"
    told = json.loads(callback.body)
    assert base64.b64decode(told["sourceBody"]).decode() == shown('{"a": 1}')
    (letter,) = (await world.sdk.dlq.list()).messages
    assert (letter.message_id, letter.body) == (message_id, shown('{"a": 1}'))
    assert letter.headers is not None
    assert letter.headers["X-Secret"] == [shown("s3cret")]
    assert letter.headers["X-Plain"] == ["plain"]
    await world.http.post(f"/v2/dlq/retry/{letter.dlq_id}")
    again = (await world.target.received(3))[-1]
    assert (again.body, again.headers["x-secret"]) == (b'{"a": 1}', "s3cret")
