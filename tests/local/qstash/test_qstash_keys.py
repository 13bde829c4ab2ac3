"""Signing keys and their rotation."""

import pytest
from qstash import Receiver
from qstash.errors import SignatureError
from tests.local.qstash.qstash_world import Delivery, World

from prebooking_local.qstash import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN


def verify(receiver: Receiver, delivery: Delivery) -> None:
    receiver.verify(signature=delivery.headers["upstash-signature"], body=delivery.body.decode())


async def test_token_and_keys_are_those_of_the_official_development_server(world: World) -> None:
    assert world.qstash.token == DEV_TOKEN
    keys = (await world.http.get("/v2/keys")).json()
    assert keys == {"current": DEV_CURRENT_KEY, "next": DEV_NEXT_KEY}


async def test_a_receiver_survives_one_rotation_and_not_two(world: World) -> None:
    receiver = Receiver(DEV_CURRENT_KEY, DEV_NEXT_KEY)
    rotated = await world.sdk.signing_key.rotate()
    assert rotated.current == DEV_NEXT_KEY
    assert rotated.next not in {DEV_CURRENT_KEY, DEV_NEXT_KEY}
    await world.publish()
    verify(receiver, (await world.target.received(1))[0])
    await world.sdk.signing_key.rotate()
    await world.publish()
    with pytest.raises(SignatureError):
        verify(receiver, (await world.target.received(2))[1])
