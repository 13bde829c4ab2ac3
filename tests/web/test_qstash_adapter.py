"""The messages, through QStash's own SDK to a real server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support.world import Outside

from prebooking.adapters.qstash.account import open_account
from prebooking.adapters.qstash.messages import QStashMessages, open_messages
from prebooking.domain.errors import MessagingError
from prebooking.domain.prebooking import Prebooking, Status
from prebooking_local.qstash.message import State
from prebooking_local.qstash.quota import Quota
from prebooking_local.qstash.server import QStashServer
from prebooking_local.qstash.signing import DEV_TOKEN
from prebooking_local.qstash.views import message_view, settings_view

PUBLIC_URL = "http://127.0.0.1:9"
ADDRESS = sha256(PUBLIC_URL.encode()).hexdigest()[:8]


@pytest.fixture
def qstash(outside: Outside) -> QStashServer:
    outside[1].qstash.faults.clear()
    return outside[1]


@pytest.fixture
async def messages(qstash: QStashServer) -> AsyncIterator[QStashMessages]:
    async with open_messages(qstash.url, DEV_TOKEN, public_url=PUBLIC_URL, lead_s=3, max_duration_s=10) as running:
        yield running


def prebooking(**changed: Any) -> Prebooking:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "id": uuid4(),
        "user_email": "ana@example.com",
        "status": Status.PENDING,
        "version": 1,
        "attempts": 0,
        "available_at": now + timedelta(hours=1),
        "box_subdomain": "mygym",
        "box_aimharder_id": "7",
        "booking_data": {},
        "created_at": now,
        "updated_at": now,
    }
    return Prebooking(**(values | changed))


async def test_a_message_is_ordered_as_the_execution_needs_it(messages: QStashMessages, qstash: QStashServer) -> None:
    row = prebooking(available_at=datetime.now(UTC).replace(microsecond=750_000) + timedelta(hours=1), version=4)
    message = qstash.qstash.broker.pending[await messages.publish(row)]
    order = message.order
    assert (order.method, order.url) == ("POST", f"{PUBLIC_URL}/qstash/prebooking-execute")
    assert json.loads(order.body) == {"prebooking_id": str(row.id), "version": 4}
    assert message.not_before == int(row.available_at.timestamp()) - 3
    assert (order.retries, order.retry_delay, order.timeout_s) == (5, "1000 * (1 + retried)", 15)
    assert order.deduplication_id == f"pb-{row.id}-v4-{ADDRESS}"
    assert order.setting("upstash-label") == "prebooking"
    assert order.setting("upstash-failure-callback") == f"{PUBLIC_URL}/qstash/prebooking-failed"


async def test_the_same_version_is_the_same_message_and_after_a_noted_failure_another(
    messages: QStashMessages, qstash: QStashServer
) -> None:
    row = prebooking()
    first = await messages.publish(row)
    assert await messages.publish(row) == first
    again = await messages.publish(row, delivery_failures=2)
    assert qstash.qstash.broker.pending[again].order.deduplication_id == f"pb-{row.id}-v1-{ADDRESS}-f2"


async def test_a_publish_whose_answer_was_lost_is_repeated_without_a_second_message(
    messages: QStashMessages, qstash: QStashServer
) -> None:
    row, before = prebooking(), len(qstash.qstash.broker.pending)
    qstash.qstash.faults.change({"api_answer_lost": {"value": True, "next": 1}})
    with pytest.raises(MessagingError) as failed:
        await messages.publish(row)
    assert failed.value.pause
    await messages.publish(row)
    assert len(qstash.qstash.broker.pending) == before + 1


async def test_a_deleted_message_will_not_ring(messages: QStashMessages, qstash: QStashServer) -> None:
    message_id = await messages.publish(prebooking())
    message = qstash.qstash.broker.pending[message_id]
    await messages.delete(message_id)
    assert message.state is State.CANCELLED


FORWARDED = {"x-protection-bypass": "s3cret-of-the-proxy"}


@pytest.fixture
async def protected(qstash: QStashServer) -> AsyncIterator[QStashMessages]:
    """Those of a service that a proxy protects."""
    async with open_messages(
        qstash.url, DEV_TOKEN, public_url=PUBLIC_URL, lead_s=3, max_duration_s=10, forward=FORWARDED
    ) as running:
        yield running


async def test_what_comes_to_us_brings_the_headers_along_and_its_failure_callback_too(
    protected: QStashMessages, qstash: QStashServer
) -> None:
    order = qstash.qstash.broker.pending[await protected.publish(prebooking())].order
    assert dict(order.forwarded)["x-protection-bypass"] == "s3cret-of-the-proxy"
    callback = order.callback("upstash-failure-callback", b"")
    assert dict(callback.forwarded)["x-protection-bypass"] == "s3cret-of-the-proxy"
    assert "s3cret" not in str(settings_view(order)["header"])
    assert message_view(qstash.qstash.broker.pending[await protected.publish(prebooking())])["body"].startswith("{")


async def test_the_sweeps_schedule_and_doctors_ping_bring_them_along(
    protected: QStashMessages, qstash: QStashServer
) -> None:
    await protected.schedule_sweep(2)
    async with httpx.AsyncClient(base_url=qstash.url, headers={"Authorization": f"Bearer {DEV_TOKEN}"}) as http:
        [schedule] = (await http.get("/v2/schedules")).json()
        await http.delete("/v2/schedules/prebooking-sweep")
    hidden = f"REDACTED:{sha256(b's3cret-of-the-proxy').hexdigest()}"
    assert schedule["header"]["X-Protection-Bypass"] == [hidden]
    async with open_account(qstash.url, DEV_TOKEN, FORWARDED) as account:
        message_id = await account.ping(f"{PUBLIC_URL}/qstash/ping", uuid4())
    broker = qstash.qstash.broker
    (ping,) = [message for message in (*broker.pending.values(), *broker.finished) if message.id == message_id]
    assert dict(ping.order.forwarded)["x-protection-bypass"] == "s3cret-of-the-proxy"


async def test_a_notice_brings_them_to_us_alone_is_redacted_and_waits_for_its_own_kind(
    protected: QStashMessages, qstash: QStashServer
) -> None:
    message_id = await protected.forward(
        "http://127.0.0.1:9/hook", '{"who": "ana"}', {"webhook-signature": "v1,abc"}, deduplication_id=str(uuid4())
    )
    broker = qstash.qstash.broker
    (message,) = [m for m in (*broker.pending.values(), *broker.finished) if m.id == message_id]
    order = message.order
    assert dict(order.forwarded) == {"content-type": "application/json", "webhook-signature": "v1,abc"}
    callback = order.callback("upstash-failure-callback", b"")
    assert dict(callback.forwarded)["x-protection-bypass"] == "s3cret-of-the-proxy"
    assert "ana" not in str(message_view(message))
    assert "v1,abc" not in str(message_view(message))
    assert (order.flow and order.flow.key, order.flow and order.flow.parallelism) == ("prebooking-notices", 2)


async def test_no_flow_control_holds_back_what_rings_at_one_instant(
    messages: QStashMessages, qstash: QStashServer
) -> None:
    assert qstash.qstash.broker.pending[await messages.publish(prebooking())].order.flow is None


async def test_ordering_the_sweep_again_changes_the_one_schedule(
    messages: QStashMessages, qstash: QStashServer
) -> None:
    assert await messages.schedule_sweep(2) == await messages.schedule_sweep(5) == "prebooking-sweep"
    async with httpx.AsyncClient(base_url=qstash.url, headers={"Authorization": f"Bearer {DEV_TOKEN}"}) as http:
        [schedule] = (await http.get("/v2/schedules")).json()
        assert (schedule["cron"], schedule["destination"]) == ("*/5 * * * *", f"{PUBLIC_URL}/qstash/sweep")
        assert schedule["retries"] == 0
        await http.delete("/v2/schedules/prebooking-sweep")


async def test_deleting_what_is_gone_is_fine_and_an_empty_id_deletes_nothing(
    messages: QStashMessages, qstash: QStashServer
) -> None:
    message_id = await messages.publish(prebooking())
    await messages.delete("msg_that_nobody_knows")
    for no_id in ("", "..", "?x", "a/b"):  # an adopted row may hold anything
        await messages.delete(no_id)
    assert message_id in qstash.qstash.broker.pending


ABOUT_ONE = {400, 411, 412, 413, 414, 415, 422, 431}


@pytest.mark.parametrize("status", [*range(300, 309), *range(400, 432), 451, *range(500, 512), 520, 530, 599])
async def test_a_status_is_about_one_message_or_about_the_account(
    messages: QStashMessages, qstash: QStashServer, status: int
) -> None:
    qstash.qstash.faults.change({"api_status": {"value": status, "next": 1, "on": "any"}})
    with pytest.raises(MessagingError) as failed:
        await messages.publish(prebooking())
    assert failed.value.pause is (status not in ABOUT_ONE)


async def test_a_token_of_another_region_is_about_the_account(messages: QStashMessages, qstash: QStashServer) -> None:
    qstash.qstash.faults.change({"other_region": {"value": True, "next": 1}})
    with pytest.raises(MessagingError, match=r"404, body: .*not found in this region") as failed:
        await messages.publish(prebooking())
    assert failed.value.pause


async def test_nothing_is_gone_because_the_token_is_of_another_region(
    messages: QStashMessages, qstash: QStashServer
) -> None:
    qstash.qstash.faults.change({"other_region": {"value": True, "on": "any"}})
    async with open_account(qstash.url, DEV_TOKEN) as account:
        for asked in (messages.delete("msg_1"), account.schedules(), account.forget("1-0")):
            with pytest.raises(MessagingError, match="not found in this region"):
                await asked
        qstash.qstash.faults.clear()
        await messages.delete("msg_1")
        await account.forget("1-0")
        assert await account.schedules() == []


async def test_a_destination_that_is_refused_is_that_of_all_messages_but_of_no_notice(qstash: QStashServer) -> None:
    async with open_messages(
        qstash.url, DEV_TOKEN, public_url="no-scheme.example.com/x", lead_s=3, max_duration_s=10
    ) as messages:
        with pytest.raises(MessagingError, match="invalid destination") as failed:
            await messages.publish(prebooking())
        assert failed.value.pause
        with pytest.raises(MessagingError, match="invalid destination") as failed:
            await messages.forward("no-scheme.example.com/x", "{}", {}, deduplication_id="n1")
        assert not failed.value.pause


@pytest.mark.parametrize(
    ("quota", "pause"), [(Quota(max_retries=3), True), (Quota(max_delay_s=60), False)], ids=["retries", "delay"]
)
async def test_a_quota_is_of_the_message_where_it_is_the_messages_delay(
    messages: QStashMessages, qstash: QStashServer, monkeypatch: pytest.MonkeyPatch, quota: Quota, pause: Any
) -> None:
    monkeypatch.setattr(qstash.qstash.broker, "_quota", quota)
    with pytest.raises(MessagingError, match="quota") as failed:
        await messages.publish(prebooking())
    assert failed.value.pause is pause


@pytest.mark.parametrize("limit", ["daily", "burst"])
async def test_throttling_is_a_reason_to_pause(messages: QStashMessages, qstash: QStashServer, limit: str) -> None:
    qstash.qstash.faults.change({"api_limit": {"value": limit, "next": 1}})
    with pytest.raises(MessagingError) as failed:
        await messages.publish(prebooking())
    assert failed.value.pause


@pytest.mark.parametrize("call", ["publish", "delete"])
async def test_a_server_that_hangs_costs_two_seconds_at_most(
    messages: QStashMessages, qstash: QStashServer, call: str
) -> None:
    qstash.qstash.faults.change({"api_hangs": {"value": True, "on": "any"}})
    started = time.monotonic()
    with pytest.raises(MessagingError) as failed:
        await (messages.publish(prebooking()) if call == "publish" else messages.delete("msg_1"))
    assert failed.value.pause
    assert time.monotonic() - started < 2.5


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"no json"])
async def test_a_success_of_another_shape_is_no_message(body: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with open_messages(url, DEV_TOKEN, public_url=PUBLIC_URL, lead_s=3, max_duration_s=10) as messages:
        with pytest.raises(MessagingError):
            await messages.publish(prebooking())
    server.close()


async def test_a_server_that_refuses_the_connection_is_not_tried_for_long() -> None:
    async with open_messages(
        "http://127.0.0.1:1", DEV_TOKEN, public_url=PUBLIC_URL, lead_s=3, max_duration_s=10
    ) as messages:
        async with asyncio.timeout(1):
            with pytest.raises(MessagingError) as failed:
                await messages.publish(prebooking())
    assert failed.value.pause
    assert DEV_TOKEN not in str(failed.value)
