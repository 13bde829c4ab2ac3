"""A delivery is believed when QStash signed it for exactly this: these bytes, this URL, now."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from math import ceil
from time import time
from typing import Any

import asyncpg
import pytest
from tests.support.signing import EXECUTE, FAILED, SWEEP, body_of, callback_of, deliver, signature
from tests.support.world import Outside, World, open_world

from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY

ANA = "ana@example.com"
SOON = datetime.now(UTC) + timedelta(hours=5)
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def row(sweepless: World) -> dict[str, Any]:
    return await sweepless.prebook(ANA, SOON)


async def put(world: World, row: dict[str, Any], assignments: str) -> None:
    await world.database.execute(f"update public.prebookings set {assignments} where id = $1", row["id"])


async def everything(world: World) -> str:
    """The row with all its columns."""
    return str(await world.database.fetchval("select to_jsonb(p)::text from public.prebookings p"))


def digest(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode()


async def test_what_qstash_signed_is_believed(sweepless: World, subtests: pytest.Subtests) -> None:
    now = int(time())
    signings: tuple[dict[str, Any], ...] = (
        *({}, {"key": DEV_NEXT_KEY}, {"aud": "somebody"}, {"iat": None, "jti": None}),
        *({"nbf": 0}, {"exp": now - 25}, {"iat": now + 25, "nbf": now + 25}),
        {"body": digest(body_of(NOBODY)).rstrip("=")},
    )
    for signing in signings:
        with subtests.test(**signing):
            answer = await deliver(sweepless, EXECUTE, body_of(NOBODY), **signing)
            outcome = {"outcome": "unknown_prebooking", "prebooking_id": NOBODY}
            assert (answer.status_code, answer.json()) == (200, outcome)


SECOND: dict[str, Any] = {
    "qstash_current_signing_key_2": "sig_of_another_region_1_0123456789",
    "qstash_next_signing_key_2": "sig_of_another_region_2_0123456789",
}


async def test_while_a_region_moves_any_of_four_keys_is_believed_and_nothing_else_is_laxer(
    database: asyncpg.Connection, outside: Outside, subtests: pytest.Subtests
) -> None:
    body, now = body_of(NOBODY), int(time())
    async with open_world(database, *outside, **SECOND, sweep_seconds=0) as world:
        for key in (DEV_CURRENT_KEY, DEV_NEXT_KEY, *SECOND.values()):
            with subtests.test(key=key):
                assert (await deliver(world, EXECUTE, body, key=key)).status_code == 200
        other_key = {"key": SECOND["qstash_next_signing_key_2"]}
        for signing in (
            {"key": "sig_of_nobody_0123456789_0123456789"},
            other_key | {"iss": "Somebody"},
            other_key | {"sub": EXECUTE},
            other_key | {"body": digest(b"another")},
            other_key | {"exp": now - 40},
        ):
            with subtests.test(**signing):
                assert (await deliver(world, EXECUTE, body, **signing)).status_code == 401


async def test_what_it_did_not_sign_so_is_refused_and_changes_nothing(
    sweepless: World, row: dict[str, Any], subtests: pytest.Subtests
) -> None:
    now, before = int(time()), await everything(sweepless)
    signings: tuple[dict[str, Any], ...] = (
        *({"key": "x" * 32}, {"algorithm": "none"}, {"algorithm": "HS512", "key": DEV_CURRENT_KEY * 2}),
        *({"exp": now - 40}, {"nbf": now + 60}, {"iat": now + 60}, {"exp": 1e400}),
        *({"iss": "Somebody"}, {"sub": "https://other.example.com" + EXECUTE}, {"sub": EXECUTE}),
        *({"body": claim} for claim in (digest(b"another"), "", 5, "ñ")),
        *({claim: None} for claim in ("iss", "sub", "exp", "nbf", "body")),
        *({claim: "x"} for claim in ("exp", "nbf", "iat")),
    )
    for signing in signings:
        for path, content in ((EXECUTE, body_of(row["id"])), (FAILED, callback_of(row["id"]))):
            with subtests.test(path=path, **signing):
                answer = await deliver(sweepless, path, content, **signing)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert await everything(sweepless) == before


async def test_a_signature_holds_for_its_own_bytes_and_its_own_route(sweepless: World, row: dict[str, Any]) -> None:
    before, callback = await everything(sweepless), callback_of(row["id"])
    for path, body, signed_path, signed_body in (
        (FAILED, callback, EXECUTE, callback),
        (FAILED, callback, FAILED, callback + b" "),
        (FAILED, callback + b"\n", FAILED, callback),
        (SWEEP, b"", EXECUTE, b""),
        (FAILED, callback, FAILED + "/", callback),
        (FAILED, callback, FAILED + "?x=1", callback),
    ):
        token = signature(sweepless.url + signed_path, signed_body)
        for headers in ({}, {"Host": f"evil{signed_path}?"}, {"Host": "[::1"}):
            sent = headers | {"Upstash-Signature": token}
            answer = await sweepless.http.post(path, content=body, headers=sent)
            assert answer.status_code == 401
    assert await everything(sweepless) == before


async def test_no_signature_and_what_is_none_are_refused(sweepless: World) -> None:
    nested = base64.urlsafe_b64encode(b"[" * 3000).rstrip(b"=")
    for token in (None, b"", b"x", b"a.b.c", "ñ.ñ.ñ".encode(), nested + b".e30.x", b"e30.e30.", b"x" * 9000):
        for path in (EXECUTE, FAILED, SWEEP):
            headers = {} if token is None else {b"Upstash-Signature": token}
            answer = await sweepless.http.post(path, content=b"{}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


async def test_a_signed_body_that_can_not_be_read_is_not_delivered_again(
    sweepless: World, subtests: pytest.Subtests
) -> None:
    versions = ('"1"', "1.5", "true", "null", "0", "-1", str(2**31), str(2**63), "9" * 5000, "1e400")
    ids = ("x", "", "\\u0000", "\\ud800", NOBODY + "0")
    for content in (
        *(b"", b"x", b"[]", b"null", b"\xff", b"[" * 9000, b'{"version": 1}'),
        f'{{"prebooking_id": "{NOBODY}"}}'.encode(),
        f'{{"prebooking_id": "{NOBODY}", "version": 1, "more": 1}}'.encode(),
        *(f'{{"prebooking_id": "{NOBODY}", "version": {version}}}'.encode() for version in versions),
        *(f'{{"prebooking_id": "{one}", "version": 1}}'.encode() for one in ids),
    ):
        with subtests.test(content=content[:80]):
            answer = await deliver(sweepless, EXECUTE, content)
            assert (answer.status_code, answer.json()["code"]) == (489, "malformed")
            assert answer.headers["upstash-nonretryable-error"] == "true"


async def test_a_larger_body_than_any_of_ours_is_not_read(sweepless: World) -> None:
    answer = await deliver(sweepless, EXECUTE, b" " * 17_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


async def test_a_ring_for_nothing_is_answered_so(sweepless: World, subtests: pytest.Subtests) -> None:
    for class_id, (state, version, outcome) in enumerate(
        (
            ("status = 'cancelled'", 1, "cancelled"),
            ("status = 'completed'", 1, "already_finished"),
            ("status = 'failed', error_code = 'class_full'", 1, "already_finished"),
            ("version = 2", 1, "stale"),
            ("version = 1", 2, "stale"),
            ("give_up_at = now()", 1, "expired"),
        )
    ):
        with subtests.test(state=state):
            row = await sweepless.prebook(ANA, SOON, class_id=class_id)
            await put(sweepless, row, state)
            answer = await deliver(sweepless, EXECUTE, body_of(row["id"], version))
            assert (answer.status_code, answer.json()) == (200, {"outcome": outcome, "prebooking_id": row["id"]})
    assert sweepless.booking_requests() == 0


async def test_a_ring_before_its_time_is_asked_for_again_a_lead_before_the_opening(
    sweepless: World, row: dict[str, Any]
) -> None:
    before = await everything(sweepless)
    answer = await deliver(sweepless, EXECUTE, body_of(row["id"]))

    assert (answer.status_code, answer.json()["code"]) == (503, "not-due")
    assert answer.json()["prebooking_id"] == row["id"]
    expected = ceil(SOON.timestamp() - time() - 3)
    assert abs(int(answer.headers["retry-after"]) - expected) <= 1
    assert await everything(sweepless) == before


async def test_what_another_holds_is_asked_for_again_when_its_lease_ends(sweepless: World, row: dict[str, Any]) -> None:
    await put(
        sweepless,
        row,
        "status = 'executing', claim_token = gen_random_uuid(), lease_until = now() + interval '40 seconds'",
    )
    answer = await deliver(sweepless, EXECUTE, body_of(row["id"]))
    assert (answer.status_code, answer.json()["code"]) == (503, "held")
    assert int(answer.headers["retry-after"]) in (39, 40)


async def test_what_was_released_is_asked_for_again_at_its_next_try(sweepless: World, row: dict[str, Any]) -> None:
    await put(sweepless, row, "available_at = now(), retry_at = now() + interval '40 seconds'")
    answer = await deliver(sweepless, EXECUTE, body_of(row["id"]))
    assert (answer.status_code, answer.json()["code"]) == (503, "retry-later")
    assert int(answer.headers["retry-after"]) in (39, 40)
