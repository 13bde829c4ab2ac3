"""What a publish may say, and what is refused."""

import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from qstash import AsyncQStash
from qstash.errors import QStashError
from tests.local.qstash.qstash_world import Front, World, qstash_world

from prebooking_local.qstash import Quota

RAW = "/a//b%20c/?x=1&y=a%20b&z="


async def test_the_destination_is_reached_and_signed_exactly_as_published(world: World) -> None:
    await world.publish(RAW)
    (delivery,) = await world.target.received()
    assert delivery.line == f"POST {RAW} HTTP/1.1"
    assert delivery.claims["sub"] == world.target.url + RAW


async def test_a_percent_encoded_destination_means_the_same_as_a_raw_one(world: World) -> None:
    encoded = quote(world.target.url + RAW, safe="")
    assert (await world.http.post(f"/v2/publish/{encoded}")).status_code == 200
    (delivery,) = await world.target.received()
    assert delivery.claims["sub"] == world.target.url + RAW


async def test_settings_and_token_may_come_as_query_parameters_and_stay_out_of_the_destination(world: World) -> None:
    async with httpx.AsyncClient() as anyone:
        query = f"upstash-forward-a=b%20c&x=1&qstash_token={quote(world.qstash.token)}&upstash-method=PUT"
        answer = await anyone.post(f"{world.url}/v2/publish/{world.target.url}/p?{query}")
        assert answer.status_code == 200
        (delivery,) = await world.target.received()
        assert delivery.line == "PUT /p?x=1 HTTP/1.1"
        assert delivery.headers["a"] == "b c"


async def test_only_the_token_opens_the_api(world: World) -> None:
    async with httpx.AsyncClient(base_url=world.url) as anyone:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            answer = await anyone.get("/v2/keys", headers=headers)
            assert answer.status_code == 401
            assert answer.json() == {"error": "unable to authenticate: invalid token"}


@pytest.mark.parametrize(
    ("destination", "status"),
    [
        ("example.com/x", 400),
        ("localhost:80", 400),
        ("a-group", 404),
        ("api/llm", 501),
        ("http%3A%2F%2Fa%20b", 400),
        ("http://a:99999", 400),
        ("http://[a", 400),
        ("http://:80/", 400),
    ],
)
async def test_a_destination_that_cannot_be_delivered_to_is_refused(
    world: World, destination: str, status: int
) -> None:
    answer = await world.http.post(f"/v2/publish/{destination}")
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({"delay": 5}, 5),
        ({"delay": "1d10h30m2s"}, 86400 + 36000 + 1800 + 2),
        ({"not_before": 10}, 10),
        ({"not_before": 10, "delay": 90}, 10),
        ({"not_before": -3600}, -3600),
    ],
)
async def test_delay_and_not_before_decide_when_and_not_before_wins(
    world: World, options: dict[str, Any], seconds: int
) -> None:
    world.clock.now = float(int(world.clock.now))
    if "not_before" in options:
        options = {**options, "not_before": int(world.clock.now) + options["not_before"]}
    world.target.open.clear()
    message = await world.message(await world.publish(**options))
    assert message["notBefore"] - world.clock.now == seconds


async def test_a_message_leaves_at_its_instant_and_one_of_the_past_at_once(world: World) -> None:
    world.clock.now = float(int(world.clock.now))
    instant = int(world.clock.now) + 10
    await world.publish("/timed", not_before=instant)
    world.clock.advance(9.999)
    await world.publish("/past", not_before=instant - 3600)
    assert [delivery.path for delivery in await world.target.received()] == ["/past"]
    world.clock.advance(0.001)
    assert [delivery.path for delivery in await world.target.received(2)] == ["/past", "/timed"]


@pytest.mark.parametrize(
    "header",
    [
        {"Upstash-Not-Before": "1767225600.9"},
        {"Upstash-Not-Before": "soon"},
        {"Upstash-Delay": "5"},
        {"Upstash-Delay": "5 s"},
        {"Upstash-Timeout": "1w"},
        {"Upstash-Retries": "-1"},
        {"Upstash-Method": "BREW"},
        {"Upstash-Retry-Delay": "__import__('os')"},
        {"Upstash-Retry-Delay": "1 / (retried - 2)"},
        {"Upstash-Content-Based-Deduplication": "maybe"},
        {"Upstash-Failure-Callback": "nowhere.example"},
        {"Upstash-Callback": "http://127.0.0.1/", "Upstash-Callback-Delay": "5s"},
    ],
)
async def test_a_setting_that_makes_no_sense_is_refused(world: World, header: dict[str, str]) -> None:
    answer = await world.http.post(f"/v2/publish/{world.target.url}", headers=header)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


async def test_a_delay_beyond_the_plan_is_refused_as_measured_at_receipt(world: World) -> None:
    limit = int(world.clock.now) + 604_800
    await world.publish(not_before=limit)
    with pytest.raises(QStashError, match="quota maxDelay exceeded, current limit: 604800"):
        await world.publish(not_before=limit + 2)


async def test_retries_beyond_the_plan_are_refused(front: Front) -> None:
    async with qstash_world(front, quota=Quota(max_retries=2)) as world:
        await world.publish(retries=2)
        with pytest.raises(QStashError, match="quota maxRetries exceeded, current limit: 2"):
            await world.publish(retries=3)


async def test_the_same_deduplication_id_yields_the_first_message_for_ten_minutes(world: World) -> None:
    first = await world.publish(deduplication_id="pb-1-v1")
    await world.reaches(first, "delivered")
    world.clock.advance(599)
    again = await world.http.post(f"/v2/publish/{world.target.url}", headers={"Upstash-Deduplication-Id": "pb-1-v1"})
    assert again.status_code == 202
    assert again.json() == {"messageId": first, "deduplicated": True}
    world.clock.advance(2)
    assert await world.publish(deduplication_id="pb-1-v1") != first
    assert len(await world.target.received(2)) == 2


async def test_a_cancel_does_not_release_the_deduplication_id(world: World) -> None:
    first = await world.publish(deduplication_id="one", delay=60)
    await world.sdk.message.cancel(first)
    assert await world.publish(deduplication_id="one") == first
    assert (await world.message(first))["state"] == "cancelled"


async def test_a_colon_in_a_deduplication_id_is_refused(world: World) -> None:
    with pytest.raises(QStashError, match="DeduplicationId cannot contain ':'"):
        await world.publish(deduplication_id="12:30")


@pytest.mark.parametrize("truth", ["True", "true"])
async def test_equal_content_is_recognised_in_either_spelling_of_true(world: World, truth: str) -> None:

    async def publish(body: str) -> Any:
        headers = {"Upstash-Content-Based-Deduplication": truth}
        url = f"/v2/publish/{world.target.url}"
        return (await world.http.post(url, content=body, headers=headers)).json()

    first = await publish("a")
    assert await publish("a") == first | {"deduplicated": True}
    assert (await publish("b"))["messageId"] != first["messageId"]


async def test_a_batch_is_accepted_whole(world: World) -> None:
    answers = await world.sdk.message.batch_json(
        [{"url": f"{world.target.url}/{n}", "body": {"n": n}, "headers": {"X-N": str(n)}} for n in range(3)]
    )
    assert len(answers) == 3
    deliveries = await world.target.received(3)
    assert {(one.path, one.body, one.headers["x-n"]) for one in deliveries} == {
        (f"/{n}", b'{"n": %d}' % n, str(n)) for n in range(3)
    }


@pytest.mark.parametrize(
    "bad",
    [{"url": "example.com"}, {"deduplication_id": "a:b"}, {"delay": "8d"}, {"headers": {"X": "a\r\nb"}}],
)
async def test_a_batch_with_one_bad_entry_is_refused_whole(world: World, bad: dict[str, Any]) -> None:
    good = {"url": world.target.url, "body": "x"}
    with pytest.raises(QStashError, match="400"):
        await world.sdk.message.batch([good, {**good, **bad}])  # type: ignore[list-item,typeddict-item]  # wrong on purpose
    assert (await world.http.get("/_control/messages")).json() == {"pending": [], "finished": []}


async def test_a_published_message_reads_back_with_times_in_milliseconds(world: World) -> None:
    instant = int(world.clock.now) + 60
    message_id = await world.publish("/x?y=1", body={"é": 1}, not_before=instant, label="prebooking", retries=2)
    message = await world.sdk.message.get(message_id)
    assert message.message_id == message_id
    assert message.message_id.startswith("msg_")
    assert (message.url, message.method) == (f"{world.target.url}/x?y=1", "POST")
    assert (message.max_retries, message.label) == (2, "prebooking")
    assert (message.not_before, message.created_at) == (instant * 1000, round(world.clock.now * 1000))
    assert message.body == '{"\\u00e9": 1}'
    assert message.headers == {"Content-Type": ["application/json"]}


async def test_a_body_that_is_not_text_reads_back_in_base64(world: World) -> None:
    answer = await world.sdk.message.publish(url=world.target.url, body=b"\xff\x00", delay=60)
    assert not isinstance(answer, list)
    message = await world.sdk.message.get(answer.message_id)
    assert (message.body, message.body_base64) == (None, "/wA=")


@pytest.mark.parametrize("path", ["/v2/queues", "/v2/enqueue/q/http://x", "/v2/topics/t", "/v2/flowControl/k"])
async def test_what_is_not_played_says_so_loudly(world: World, path: str) -> None:
    answer = await world.http.post(path)
    assert answer.status_code == 501
    assert path in answer.json()["error"]
    assert (await world.http.get("/elsewhere")).json() == {"error": "Not Found"}


async def test_the_sdk_needs_nothing_but_url_and_token(world: World) -> None:
    client = AsyncQStash(world.qstash.token, base_url=world.url)
    async with client.http._client:
        started = time.monotonic()
        await client.message.publish_json(url=world.target.url, body={})
        assert time.monotonic() - started < 1
