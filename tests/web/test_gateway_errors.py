"""What stands before the database answers in its place: which of it passes, and what the rest is called."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.support.world import World

from prebooking.adapters.supabase.errors import REFUSED_CODES, TRANSIENT_CODES, TRANSIENT_STATUSES
from prebooking.adapters.supabase.store import SupabaseStore, open_store
from prebooking.domain.errors import StoreTrouble, StoreUnavailableError
from prebooking.domain.prebooking import Box
from prebooking.domain.transitions import Limits
from prebooking_local.supabase import Fault, Gateway

ANA = "ana@example.com"
SOON = datetime.now(UTC) + timedelta(hours=5)
BODIES = (
    ('{"message": "An invalid response was received from the upstream server"}', "application/json"),
    ('{"message": "name resolution failed", "code": null}', "application/json"),
    ('{"code": 503, "message": "as a number"}', "application/json"),
    ('{"code": "ERROR", "message": "as a word"}', "application/json"),
    ("{}", "application/json"),
    ('["a list"]', "application/json"),
    ("<html><body>error code: 522</body></html>", "text/html"),
    ("upstream connect error or disconnect/reset before headers", "text/plain"),
    ("", "text/plain"),
)
KEY_REFUSED = '{"message": "Invalid API key", "hint": "Double check your Supabase API key."}'


async def create(store: SupabaseStore) -> str:
    now = datetime.now(UTC)
    data = {"day": f"{now + timedelta(days=4):%Y%m%d}", "id": uuid4().hex}
    box, limits = Box(subdomain="mygym", aimharder_id="7"), Limits(active=1000, per_minute=1000)
    return (await store.create(uuid4(), ANA, box, data, now, limits=limits)).outcome


@pytest.mark.parametrize("status", sorted(TRANSIENT_STATUSES))
async def test_a_gateways_passing_trouble_is_tried_again(store: SupabaseStore, gateway: Gateway, status: int) -> None:
    await met_once(store, gateway, Fault(kind="answer", status=status, function="create_prebooking"))


@pytest.mark.parametrize(("body", "media_type"), BODIES)
async def test_it_is_whatever_the_form_of_its_body(
    store: SupabaseStore, gateway: Gateway, body: str, media_type: str
) -> None:
    await met_once(store, gateway, Fault(kind="answer", body=body, media_type=media_type, function="create_prebooking"))


async def met_once(store: SupabaseStore, gateway: Gateway, fault: Fault) -> None:
    gateway.faults.set(fault)
    assert await create(store) == "created"
    assert gateway.faults.active[0].times == 0


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        ({"status": 502}, StoreTrouble.BUSY),
        ({"status": 429}, StoreTrouble.THROTTLED),
        ({"status": 540, "body": "paused", "media_type": "text/html"}, StoreTrouble.PAUSED),
        ({"status": 401, "body": KEY_REFUSED, "challenge": 'Key realm="kong"'}, StoreTrouble.KEY_REFUSED),
        ({"status": 403, "body": '{"message": "You cannot consume this service"}'}, StoreTrouble.KEY_REFUSED),
        ({"status": 401, "body": '{"code": "PGRST301", "message": "x"}'}, StoreTrouble.KEY_REFUSED),
        ({"status": 401, "body": '{"message": "x"}', "challenge": 'Basic realm="x"'}, StoreTrouble.LOGIN_ASKED),
        ({"status": 401, "body": "<html>", "media_type": "text/html"}, StoreTrouble.LOGIN_ASKED),
        ({"status": 403, "body": "RBAC: access denied", "media_type": "text/plain"}, StoreTrouble.LOGIN_ASKED),
        ({"status": 404, "body": "<html>", "media_type": "text/html"}, StoreTrouble.NOT_POSTGREST),
        ({"status": 404, "body": '{"message": "no Route matched with those values"}'}, StoreTrouble.NOT_POSTGREST),
        ({"status": 301, "body": ""}, StoreTrouble.NOT_POSTGREST),
        ({"status": 200, "body": "<html>", "media_type": "text/html"}, StoreTrouble.NOT_POSTGREST),
        ({"status": 200, "body": "[]"}, StoreTrouble.NOT_POSTGREST),
        ({"status": 200, "body": ""}, StoreTrouble.NOT_POSTGREST),
        ({"status": 404, "body": '{"code": "PGRST202", "message": "x"}'}, StoreTrouble.FUNCTION_MISSING),
        ({"status": 403, "body": '{"code": "42501", "message": "x"}'}, StoreTrouble.NOT_ALLOWED),
        ({"status": 400, "body": ""}, StoreTrouble.OTHER),
        ({"status": 418, "body": "{}"}, StoreTrouble.OTHER),
        ({"status": 500, "body": '{"code": "XX000", "message": "x"}'}, StoreTrouble.OTHER),
    ],
    ids=str,
)
async def test_what_lasts_is_called_what_it_is(
    store: SupabaseStore, gateway: Gateway, fault: dict[str, Any], trouble: StoreTrouble
) -> None:
    gateway.faults.set(Fault(kind="answer", times=None, **fault))
    with pytest.raises(StoreUnavailableError) as failed:
        await store.check()
    assert failed.value.trouble is trouble
    passes = trouble in (StoreTrouble.BUSY, StoreTrouble.THROTTLED, StoreTrouble.PAUSED)
    assert (failed.value.code is None) is passes
    if fault["status"] in (401, 403, 404) and "code" not in fault["body"]:
        assert f"HTTP {fault['status']} without a code of the database's" in str(failed.value)


async def test_what_lasts_is_asked_once_and_what_passes_three_times(store: SupabaseStore, gateway: Gateway) -> None:
    for status, tries in ((502, 3), (401, 1), (404, 1)):
        gateway.faults.set(Fault(kind="answer", times=10, status=status, body="", media_type="text/plain"))
        with pytest.raises(StoreUnavailableError):
            await store.check()
        assert gateway.faults.active[0].times == 10 - tries


@pytest.mark.parametrize("code", sorted(TRANSIENT_CODES))
async def test_the_databases_own_passing_troubles_are_tried_again(
    store: SupabaseStore, gateway: Gateway, code: str
) -> None:
    gateway.faults.set(Fault(kind="answer", status=500, body=f'{{"code": "{code}", "message": "x"}}'))
    assert await create(store) == "created"


def test_no_code_is_of_two_kinds() -> None:
    assert not TRANSIENT_CODES & REFUSED_CODES


async def test_silence_is_called_so(gateway: Gateway) -> None:
    async with open_store("http://127.0.0.1:9", gateway.secret_key, "a replica") as store:
        with pytest.raises(StoreUnavailableError) as failed:
            await store.check()
    assert failed.value.trouble is StoreTrouble.SILENT


async def test_a_user_notices_nothing_of_a_gateways_single_502(sweepless: World) -> None:
    for media_type, body in (("application/json", '{"message": "x"}'), ("text/html", "<html>")):
        sweepless.gateway.faults.set(
            Fault(kind="answer", function="create_prebooking", media_type=media_type, body=body)
        )
        row = await sweepless.prebook(ANA, SOON, class_id=uuid4().hex)
        assert row["status"] == "pending"
