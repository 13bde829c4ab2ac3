"""Reading and cancelling messages, and the log of what happened to them."""

import pytest
from qstash.errors import QStashError
from qstash.log import LogState
from tests.local.qstash.qstash_world import World


async def states(world: World, message_id: str) -> list[str]:
    """Of the message's log entries, oldest first."""
    logs = (await world.sdk.log.list(filter={"message_id": message_id})).logs
    return [log.state.value for log in reversed(logs)]


async def test_a_delivered_message_is_gone_from_the_api(world: World) -> None:
    message_id = await world.publish()
    await world.reaches(message_id, "delivered")
    for call in (world.sdk.message.get, world.sdk.message.cancel):
        with pytest.raises(QStashError, match="status: 404"):
            await call(message_id)


async def test_a_cancelled_message_is_never_delivered(world: World) -> None:
    message_id = await world.publish("/cancelled", delay=10)
    answer = await world.http.delete(f"/v2/messages/{message_id}")
    assert (answer.status_code, answer.json()) == (200, {"cancelled": 1})
    with pytest.raises(QStashError, match="status: 404"):
        await world.sdk.message.cancel(message_id)
    world.clock.advance(11)
    await world.publish("/later")
    assert [one.path for one in await world.target.received()] == ["/later"]
    assert (await world.sdk.dlq.list()).messages == []


async def test_a_cancel_is_logged_at_once_and_honoured_at_the_delivery_time(world: World) -> None:
    message_id = await world.publish(delay=10)
    await world.sdk.message.cancel(message_id)
    assert await states(world, message_id) == ["CREATED", "CANCEL_REQUESTED"]
    world.clock.advance(11)
    await world.publish()
    await world.target.received()
    assert await states(world, message_id) == ["CREATED", "CANCEL_REQUESTED", "CANCELED"]


async def test_a_cancel_during_a_delivery_comes_too_late_but_ends_the_retries(world: World) -> None:
    world.target.open.clear()
    world.target.replies = [(500, {})]
    message_id = await world.publish(retry_delay="0")
    await world.target.received()
    await world.sdk.message.cancel(message_id)
    world.target.open.set()
    await world.reaches(message_id, "cancelled")
    await world.publish("/later")
    assert [one.path for one in await world.target.received(2)] == ["/x", "/later"]


async def test_several_messages_are_cancelled_by_id_in_body_or_query_ignoring_unknown_ones(world: World) -> None:
    ids = [await world.publish(delay=10) for _ in range(5)]
    assert await world.sdk.message.cancel_many([*ids[:2], "msg_unknown"]) == 2
    answer = await world.http.delete("/v2/messages", params={"messageIds": ids[1:4]})
    assert answer.json() == {"cancelled": 2}
    assert (await world.message(ids[4]))["state"] == "waiting"


async def test_filters_cancel_what_matches_all_of_them(world: World) -> None:
    ids = [await world.publish(f"/{label}", delay=10, label=label) for label in ("a", "b", "c")]
    query = {"label": "a,b", "path": ["/b", "/c"], "fromDate": "0"}
    assert (await world.http.delete("/v2/messages", params=query)).json() == {"cancelled": 1}
    assert [(await world.message(one))["state"] for one in ids] == ["waiting", "cancelled", "waiting"]


async def test_an_unknown_filter_cancels_nothing(world: World) -> None:
    message_id = await world.publish(delay=10)
    assert (await world.http.delete("/v2/messages?labels=a")).status_code == 400
    assert (await world.message(message_id))["state"] == "waiting"


async def test_without_ids_and_filters_a_bulk_cancel_takes_every_message(world: World) -> None:
    for _ in range(2):
        await world.publish(delay=10)
    assert await world.sdk.message.cancel_many([]) == 2
    await world.publish(delay=10)
    await world.sdk.message.cancel("")
    assert {one["state"] for one in await world.messages()} == {"cancelled"}


async def test_the_log_tells_a_messages_story_under_both_of_its_paths(world: World) -> None:
    world.target.replies = [(500, {}), (500, {})]
    message_id = await world.publish(retries=1, retry_delay="0", label="prebooking")
    await world.reaches(message_id, "failed")
    story = ["CREATED", "ACTIVE", "ERROR", "RETRY", "ACTIVE", "ERROR", "FAILED"]
    assert await states(world, message_id) == story
    documented = (await world.http.get("/v2/logs", params={"messageIds": [message_id, "other"]})).json()
    assert [entry["state"] for entry in reversed(documented["logs"])] == story
    failed = await world.sdk.log.list(filter={"state": LogState.FAILED, "label": "prebooking"})
    assert [log.message_id for log in failed.logs] == [message_id]


async def test_the_log_comes_in_pages(world: World) -> None:
    await world.reaches(await world.publish(), "delivered")
    first = await world.sdk.log.list(count=2)
    rest = await world.sdk.log.list(cursor=first.cursor)
    assert [log.state.value for log in first.logs + rest.logs] == ["DELIVERED", "ACTIVE", "CREATED"]
    assert rest.cursor is None
