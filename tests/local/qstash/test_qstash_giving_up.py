"""What becomes of a message that can't be delivered, and who is told."""

import base64
import json
from typing import Any

import pytest
from qstash import Receiver
from qstash.errors import QStashError
from tests.local.qstash.qstash_world import World

from prebooking_local.qstash import DEV_CURRENT_KEY, DEV_NEXT_KEY


async def fail(world: World, path: str = "/x", **options: Any) -> str:
    """A message given up; its id."""
    world.target.replies.insert(0, (500, {"X-Why": "broken"}))
    message_id = await world.publish(path, retries=0, **options)
    await world.reaches(message_id, "failed")
    return message_id


async def test_a_message_given_up_is_a_dead_letter_with_the_last_answer(world: World) -> None:
    message_id = await fail(world, "/x?y=1", body={"a": 1}, label="prebooking")
    (letter,) = (await world.sdk.dlq.list()).messages
    assert (letter.message_id, letter.url) == (message_id, f"{world.target.url}/x?y=1")
    assert (letter.response_status, letter.response_body) == (500, "answer")
    assert letter.response_headers == {"X-Why": ["broken"], "Content-Length": ["6"]}
    assert (letter.body, letter.label) == ('{"a": 1}', "prebooking")
    assert await world.sdk.dlq.get(letter.dlq_id) == letter


async def test_dead_letters_are_filtered_and_paged(world: World) -> None:
    ids = [await fail(world, f"/{n}", label="odd" if n % 2 else "even") for n in range(3)]
    odd = await world.sdk.dlq.list(filter={"label": "odd"})
    assert [letter.message_id for letter in odd.messages] == [ids[1]]
    assert (await world.sdk.dlq.list(filter={"response_status": 404})).messages == []
    first = await world.sdk.dlq.list(count=2)
    rest = await world.sdk.dlq.list(count=2, cursor=first.cursor)
    assert [letter.message_id for letter in first.messages + rest.messages] == ids[::-1]
    assert rest.cursor is None


async def test_dead_letters_are_deleted_one_by_one_or_several_at_once(world: World) -> None:
    for _ in range(3):
        await fail(world)
    letters = (await world.sdk.dlq.list()).messages
    await world.sdk.dlq.delete(letters[0].dlq_id)
    with pytest.raises(QStashError, match="404"):
        await world.sdk.dlq.delete(letters[0].dlq_id)
    assert await world.sdk.dlq.delete_many([letter.dlq_id for letter in letters]) == 2
    assert (await world.sdk.dlq.list()).messages == []


async def test_a_dead_letter_tried_again_is_a_new_message_and_leaves_the_queue(world: World) -> None:
    message_id = await fail(world, body={"a": 1}, headers={"X-Trace": "t"}, deduplication_id="one")
    (letter,) = (await world.sdk.dlq.list()).messages
    url = f"/v2/dlq/retry/{letter.dlq_id}"
    answer = await world.http.post(url, headers={"Upstash-Forward-X-Trace": "u"})
    assert answer.status_code == 201
    assert answer.json()["messageId"] != message_id
    again = (await world.target.received(2))[1]
    assert (again.body, again.headers["x-trace"]) == (b'{"a": 1}', "u")
    assert again.headers["upstash-message-id"] == answer.json()["messageId"]
    assert (await world.http.post(url)).status_code == 404


async def test_several_dead_letters_are_tried_again_by_id_or_by_filter(world: World) -> None:
    for label in ("a", "a", "b"):
        await fail(world, label=label)
    chosen = (await world.sdk.dlq.list(filter={"label": "b"})).messages[0].dlq_id
    for query, count in (({"dlqIds": chosen}, 1), ({"label": "a"}, 2)):
        answer = (await world.http.post("/v2/dlq/retry", params=query)).json()
        assert len(answer["responses"]) == count
        assert answer["cursor"] == ""
    await world.target.received(6)
    assert (await world.sdk.dlq.list()).messages == []


async def test_the_failure_callback_tells_what_was_given_up_and_is_itself_signed(world: World) -> None:
    hook = world.target.url + "/failed?z=1"
    message_id = await fail(
        world,
        "/x?y=1",
        body={"a": 1},
        headers={"X-Trace": "t"},
        failure_callback=hook,
        failure_callback_headers={"Forward-X-Hook": "h"},
    )
    told = (await world.target.received(2))[1]
    assert told.line == "POST /failed?z=1 HTTP/1.1"
    assert told.headers["content-type"] == "application/json"
    assert told.headers["x-hook"] == "h"
    Receiver(DEV_CURRENT_KEY, DEV_NEXT_KEY).verify(
        signature=told.headers["upstash-signature"], body=told.body.decode(), url=hook
    )
    payload = json.loads(told.body)
    (letter,) = (await world.sdk.dlq.list()).messages
    assert base64.b64decode(payload.pop("body")) == b"answer"
    assert base64.b64decode(payload.pop("sourceBody")) == b'{"a": 1}'
    assert int(payload.pop("createdAt")) == int(payload.pop("notBefore")) == letter.created_at
    assert payload == {
        "status": 500,
        "header": {"X-Why": ["broken"], "Content-Length": ["6"]},
        "retried": 0,
        "maxRetries": 0,
        "sourceMessageId": message_id,
        "url": f"{world.target.url}/x?y=1",
        "method": "POST",
        "sourceHeader": {"Content-Type": ["application/json"], "X-Trace": ["t"]},
        "callerIP": "127.0.0.1",
        "dlqId": letter.dlq_id,
    }


async def test_a_callback_tells_of_every_attempt(world: World) -> None:
    world.target.replies = [(500, {}), (200, {})]
    await world.publish("/x", retries=1, retry_delay="60000", callback=world.target.url + "/told")
    await world.target.received(2)
    world.clock.advance(60.001)
    told = [json.loads(one.body) for one in await world.target.received(4) if one.path == "/told"]
    assert [(one["status"], one["retried"]) for one in told] == [(500, 0), (200, 1)]


@pytest.mark.parametrize(("own", "retries"), [({}, 0), ({"Retries": "2"}, 2)])
async def test_a_failure_callback_is_retried_as_its_source_or_as_its_own_headers_say(
    world: World, own: dict[str, str], retries: int
) -> None:
    await fail(world, failure_callback=world.target.url + "/told", failure_callback_headers=own)
    (callback,) = [one for one in await world.messages() if one["url"].endswith("/told")]
    assert callback["maxRetries"] == retries
