"""Deliveries that QStash did not sign: each is refused with 401, the log names the check, nothing is touched."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from structlog.testing import capture_logs
from tests.support.executions import delivered, prebook_open_class
from tests.support.signing import EXECUTE, FAILED, SWEEP, body_of, callback_of, deliver, signature
from tests.support.world import World

from prebooking.web.qstash_signature import RejectionReason
from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY

ANA = "ana@example.com"
OTHER_KEY = "sig_other_0123456789_0123456789_"
Sent = tuple[bytes, list[tuple[bytes, bytes]]]  # body, headers


async def everything(world: World) -> tuple[Any, ...]:
    """All that a delivery could touch: every row, every request that reached the gym, every order that QStash got."""
    rows = await world.database.fetchval(
        "select jsonb_build_object('p', (select jsonb_agg(to_jsonb(p) order by id) from public.prebookings p),"
        " 's', (select jsonb_agg(to_jsonb(s) order by id) from public.auth_sessions s))::text"
    )
    broker = world.qstash.qstash.broker
    orders = [(m.id, len(m.attempts)) for m in (*broker.pending.values(), *broker.finished)]
    return rows, len(world.gym.ledger.entries), orders


@pytest.fixture
async def row(sweepless: World) -> dict[str, Any]:
    """Due right now, so that a delivery which passed would book it."""
    await sweepless.member(ANA)
    opens_at = sweepless.open_class(opens_in_s=3600)
    row = await sweepless.prebook(ANA, opens_at)
    await sweepless.database.execute("update public.prebookings set available_at = now() where id = $1", row["id"])
    return row


async def post(world: World, path: str, sent: Sent) -> httpx.Response:
    body, headers = sent
    return await world.http.post(path, content=body, headers=headers)


def segment(said: Any) -> bytes:
    raw = said if isinstance(said, bytes) else json.dumps(said).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def hashed(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()


def wrong_claims(body: bytes, path: str, public_url: str) -> Iterable[tuple[RejectionReason, dict[str, Any]]]:
    """Signed with the right key, but saying something else."""
    now, url = int(time.time()), public_url + path
    scheme, _, rest = url.partition("://")
    host, _, port_and_path = rest.partition(":")
    port = port_and_path.partition("/")[0]
    for seconds in (31, 40, 90, 300, 10**9):
        yield RejectionReason.EXPIRED, {"exp": now - seconds}
    for seconds in (32, 60, 90, 10**12):
        yield RejectionReason.NOT_YET_VALID, {"nbf": now + seconds}
        yield RejectionReason.NOT_YET_VALID, {"iat": now + seconds}
    yield RejectionReason.EXPIRED, {"iat": now - 390, "nbf": now - 390, "exp": now - 90}
    for issuer in ("", "upstash", "Upstash ", "Somebody", 5, ["Upstash"], {"Upstash": 1}, True):
        yield RejectionReason.ISSUER, {"iss": issuer}
    for other in (
        *(path, "", url + "/", url + "?", url + "?x=1", url + "#x", url + " ", " " + url, url.upper(), url + "\0"),
        *(f"https://other.example.com{path}", f"{scheme}://{host}:1{path}", f"{scheme}://{host}{path}"),
        *(
            f"https://{rest}",
            f"{scheme.upper()}://{rest}",
            f"{scheme}://x@{rest}",
            f"{scheme}://localhost:{port}{path}",
        ),
        *(public_url + other for other in (EXECUTE, FAILED, SWEEP) if other != path),
        *(public_url, public_url + "/" + path, public_url + path.replace("qstash", "%71stash"), url + "/../x"),
    ):
        yield RejectionReason.URL, {"sub": other}
    for content in (
        body + b" ",
        body + b"\n",
        body[:-1],
        body[1:],
        b"",
        body.swapcase(),
        body.decode().encode("utf-16"),
    ):
        yield RejectionReason.BODY, {"body": hashed(content)}
    for digest in ("", "=", hashlib.sha256(body).hexdigest(), hashed(body)[:-2], hashed(body).lower(), "ñ", "\ud800"):
        yield RejectionReason.BODY, {"body": digest}
    for claim in ("iss", "sub", "exp", "nbf", "body"):
        yield RejectionReason.CLAIM, {claim: None}
    for claim, odd in (
        ("exp", "x"),
        ("exp", []),
        ("nbf", {}),
        ("iat", "x"),
        ("exp", 1e400),
        ("sub", 5),
        ("sub", [url]),
    ):
        yield RejectionReason.MALFORMED, {claim: odd}
    for claim, odd in (("body", 5), ("body", [hashed(body)]), ("body", True), ("jti", 5), ("exp", float("nan"))):
        yield RejectionReason.MALFORMED, {claim: odd}


def wrong_signatures(body: bytes, url: str) -> Iterable[tuple[RejectionReason, bytes]]:
    """Not signed with either key, or not so that it can be told."""
    right = signature(url, body).encode()
    head, payload, proof = right.split(b".")
    claims = jwt.decode(right, options={"verify_signature": False})
    pem = rsa.generate_private_key(65537, 2048)
    for key in (OTHER_KEY, DEV_CURRENT_KEY + "x", DEV_CURRENT_KEY.lower(), DEV_NEXT_KEY[::-1], "x" * 64):
        yield RejectionReason.KEY, signature(url, body, key=key).encode()
    yield RejectionReason.KEY, b".".join((head, payload, proof[:-8] + b"AAAAAAAA"))
    yield RejectionReason.KEY, b".".join((head, payload, b""))
    yield RejectionReason.KEY, b".".join((head, segment(claims | {"exp": claims["exp"] + 1}), proof))
    yield RejectionReason.KEY, b".".join((segment({"alg": "HS256", "typ": "JWT", "kid": "x"}), payload, proof))
    algorithms: tuple[Any, ...] = (
        "none",
        "None",
        "NONE",
        "",
        None,
        "hs256",
        "HS384",
        "HS512",
        "RS256",
        "ES256",
        5,
        ["HS256"],
        {},
    )
    for algorithm in algorithms:
        yield RejectionReason.ALGORITHM, b".".join((segment({"alg": algorithm, "typ": "JWT"}), payload, proof))
    yield RejectionReason.ALGORITHM, b".".join((segment({"typ": "JWT"}), payload, proof))
    yield RejectionReason.ALGORITHM, signature(url, body, algorithm="none").encode()
    yield RejectionReason.ALGORITHM, signature(url, body, algorithm="HS512", key=DEV_CURRENT_KEY * 2).encode()
    yield RejectionReason.ALGORITHM, jwt.encode(claims, pem, "RS256").encode()
    for nothing in (
        b"x",
        b".",
        b"..",
        b"...",
        b"a.b.c",
        b"null",
        "ñ.ñ.ñ".encode(),
        b"\xff\xfe.\xff.\xff",
        b"Bearer " + right,
    ):
        yield RejectionReason.MALFORMED, nothing
    yield RejectionReason.MALFORMED, right + b"." + proof
    yield RejectionReason.MALFORMED, right[:-2]
    yield RejectionReason.MALFORMED, right + b", " + right  # two in one line
    for header in (b"[" * 2000, b"[]", b"5", b"\xff", b'{"alg": "HS256", "kid": 5}', b'{"alg": "HS256", "kid": null}'):
        yield RejectionReason.MALFORMED, b".".join((segment(header), payload, proof))
    yield (
        RejectionReason.MALFORMED,
        b".".join((segment({"alg": "HS256", "b64": False, "crit": ["b64"]}), payload, proof)),
    )
    yield RejectionReason.MALFORMED, b".".join((segment({"alg": "HS256", "crit": ["x"], "x": 1}), payload, proof))
    for said in (b"", b"[]", b"[" * 2000, b"\xff"):  # rightly signed, but no claims
        yield RejectionReason.MALFORMED, jwt.PyJWS().encode(said, DEV_CURRENT_KEY, "HS256").encode()
    yield RejectionReason.MALFORMED, b"x" * 5000
    yield RejectionReason.MALFORMED, right + b"." * 30_000


def vectors(world: World, path: str, body: bytes) -> Iterable[tuple[str, RejectionReason, Sent]]:
    url = world.url + path
    for check, changed in wrong_claims(body, path, world.url):
        token = signature(url, body, **changed).encode()
        yield f"claims {changed!r}"[:80], check, (body, [(b"Upstash-Signature", token)])
    for check, token in wrong_signatures(body, url):
        yield f"signature {token[:40]!r}… of {len(token)}", check, (body, [(b"Upstash-Signature", token)])
    right = signature(url, body).encode()
    for other in (
        body + b" ",
        body[:-1],
        b"",
        body[:-1] + b"]",
        b"\xff" + body,
        body.decode().encode("utf-16"),
    ):
        yield f"body {other[:20]!r}…", RejectionReason.BODY, (other, [(b"Upstash-Signature", right)])
    yield "none", RejectionReason.MISSING, (body, [])
    yield "empty", RejectionReason.MISSING, (body, [(b"Upstash-Signature", b"")])
    yield "elsewhere", RejectionReason.MISSING, (body, [(b"Authorization", b"Bearer " + right), (b"Cookie", right)])
    forged = [
        *((b"Upstash-Retried", b"0"), (b"Upstash-Message-Id", b"msg_1"), (b"Upstash-Region", b"EU-CENTRAL-1")),
        *((b"User-Agent", b"Upstash-QStash"), (b"X-Forwarded-Host", b"evil"), (b"X-Forwarded-Proto", b"https")),
    ]
    yield "QStash's own headers, unsigned", RejectionReason.MISSING, (body, forged)
    elsewhere = signature("https://evil" + path, body).encode()
    yield "the host of a header", RejectionReason.URL, (body, [(b"Upstash-Signature", elsewhere), *forged])
    wrong = signature(url, body, key=OTHER_KEY).encode()
    yield (
        "two, the first wrong",
        RejectionReason.KEY,
        (body, [(b"Upstash-Signature", wrong), (b"Upstash-Signature", right)]),
    )


@pytest.mark.parametrize("path", [EXECUTE, FAILED, SWEEP])
async def test_what_qstash_did_not_sign_so_is_refused_by_name_and_touches_nothing(
    sweepless: World, row: dict[str, Any], path: str, subtests: pytest.Subtests
) -> None:
    body = callback_of(row["id"]) if path == FAILED else body_of(row["id"])
    before, tried = await everything(sweepless), 0
    for name, check, sent in vectors(sweepless, path, body):
        tried += 1
        with subtests.test(name), capture_logs() as logged:
            answer = await post(sweepless, path, sent)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
            [line] = [one for one in logged if one["event"] == "delivery_refused"]
            assert (line["check"], line["path"]) == (check, path)
            assert await everything(sweepless) == before
    assert tried >= 100


async def test_a_delivery_that_is_replayed_after_the_end_changes_nothing(sweepless: World) -> None:
    row = await prebook_open_class(sweepless)
    assert (await delivered(sweepless, row)).outcome == "booked"
    body, before = body_of(row["id"]), await everything(sweepless)
    signed = (b"Upstash-Signature", signature(sweepless.url + EXECUTE, body).encode())
    for more in ([], [(b"Upstash-Retried", b"3"), (b"Upstash-Message-Id", b"msg_other")]):
        answer = await post(sweepless, EXECUTE, (body, [signed, *more]))
        assert (answer.status_code, answer.json()["outcome"]) == (200, "already_finished")
    assert await everything(sweepless) == before


async def test_keys_rolled_once_are_believed_with_a_warning_and_rolled_twice_are_not(sweepless: World) -> None:
    nobody = body_of("00000000-0000-4000-8000-000000000000")
    for key, status, warned in (
        (DEV_CURRENT_KEY, 200, False),
        (DEV_NEXT_KEY, 200, True),
        (OTHER_KEY, 401, False),
    ):
        with capture_logs() as logged:
            answer = await deliver(sweepless, EXECUTE, nobody, key=key)
        assert answer.status_code == status
        assert ("next_signing_key_used" in [line["event"] for line in logged]) is warned
    with capture_logs() as logged:
        answer = await deliver(sweepless, EXECUTE, nobody, key=DEV_NEXT_KEY, iss="Somebody")
    assert answer.status_code == 401
    assert "next_signing_key_used" not in [line["event"] for line in logged]


@pytest.mark.parametrize(("path", "length"), [(EXECUTE, 17_000), (SWEEP, 17_000), (FAILED, 256 * 1024 + 1)])
async def test_what_is_too_large_is_not_even_checked(sweepless: World, path: str, length: int) -> None:
    for headers in ([], [(b"Upstash-Signature", b"x")]):
        answer = await post(sweepless, path, (b" " * length, headers))
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize("path", [EXECUTE, FAILED, SWEEP, "/qstash/ping", "/qstash/notice-failed"])
async def test_nothing_is_read_of_what_qstash_did_not_sign(sweepless: World, path: str) -> None:
    """The body is announced, and never comes: it is not waited for."""
    signed = signature(sweepless.url + path, b"{}", key=OTHER_KEY)
    for headers in ("", f"Upstash-Signature: {signed}\r\n"):
        url = urlsplit(sweepless.url)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 9000\r\n\r\n".encode())
        async with asyncio.timeout(3):
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 401 ")
        writer.close()


async def test_of_what_qstash_signed_no_more_is_read_than_it_may_be_large(sweepless: World) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1024

    headers = {"Upstash-Signature": signature(sweepless.url + EXECUTE, b" " * 102_400)}
    answer = await sweepless.http.post(EXECUTE, content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
