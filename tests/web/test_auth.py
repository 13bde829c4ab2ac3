"""Who is asking: a signed-in user of Supabase, or a trusted server; and nobody else, however they ask."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.testing import capture_logs
from supabase import AsyncClientOptions, acreate_client
from tests.support.world import PASSWORD, SERVICE_KEY, Outside, World, open_world

from prebooking.web.token_checks import RefusedTokens, TokenCheck, TokenRefusedError

ANA = "ana@example.com"
SOON = datetime.now(UTC) + timedelta(hours=5)
SECRET = "the-jwt-secret-of-a-legacy-project-" + "0123456789" * 3


async def ask(world: World, token: str | bytes, **headers: str) -> httpx.Response:
    bearer = b"Bearer " + (token if isinstance(token, bytes) else token.encode())
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return await world.http.get("/prebookings", headers={b"Authorization": bearer, **given})


async def assert_refused(world: World, token: str | bytes) -> None:
    answer = await ask(world, token, X_User_Email=ANA)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


def now() -> int:
    return int(time.time())


def signed(world: World, changed: dict[str, Any]) -> str:
    """A token of Supabase's with other claims; None leaves one out."""
    claims = jwt.decode(world.gateway.auth.access_token(ANA), options={"verify_signature": False}) | changed
    tokens = world.gateway.auth._tokens
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, tokens._key, "ES256", headers={"kid": tokens._key_id})


async def test_a_login_at_supabase_is_the_user_whom_the_service_key_names(world: World) -> None:
    async with httpx.AsyncClient() as http:
        options = AsyncClientOptions(httpx_client=http, auto_refresh_token=False)
        supabase = await acreate_client(world.gateway.url, world.gateway.publishable_key, options)
        signed_in = await supabase.auth.sign_in_with_password({"email": ANA, "password": PASSWORD})
    assert signed_in.session
    row = await world.prebook("Ana@Example.com", SOON)

    answer = await ask(world, signed_in.session.access_token, X_User_Email="bo@example.com")
    assert answer.json()["prebookings"] == [row]


async def test_a_token_that_says_something_else_is_refused(world: World, subtests: pytest.Subtests) -> None:
    good = world.gateway.auth.access_token(ANA)
    assert (await ask(world, good)).status_code == 200
    wrong: tuple[dict[str, Any], ...] = (
        *({"exp": now() - 40}, {"exp": None}, {"nbf": now() + 40}, {"iat": now() + 40}, {"sub": None}),
        *({"iss": "https://other.supabase.co/auth/v1"}, {"aud": "anon"}, {"role": "anon"}, {"role": "service_role"}),
        *({"email": email} for email in ("", None, ["ana@example.com"], "ana@example.com\0", "ana")),
    )
    for changed in wrong:
        with subtests.test(**changed):
            await assert_refused(world, signed(world, changed))


async def test_clocks_may_differ_by_25_seconds(world: World) -> None:
    for changed in ({"exp": now() - 25}, {"iat": now() + 25, "nbf": now() + 25}):
        assert (await ask(world, signed(world, changed))).status_code == 200


async def test_a_token_that_supabase_did_not_sign_is_refused(world: World) -> None:
    good = world.gateway.auth.access_token(ANA)
    header, claims = jwt.get_unverified_header(good), jwt.decode(good, options={"verify_signature": False})
    other_key = ec.generate_private_key(ec.SECP256R1())
    head, payload, proof = good.split(".")
    as_bo = base64.urlsafe_b64encode(json.dumps(claims | {"email": "bo@example.com"}).encode()).rstrip(b"=").decode()

    await assert_refused(world, jwt.encode(claims, other_key, "ES256", headers={"kid": header["kid"]}))
    await assert_refused(world, jwt.encode(claims, other_key, "ES256", headers={"kid": str(uuid4())}))
    await assert_refused(world, jwt.encode(claims, other_key, "ES256"))
    await assert_refused(world, jwt.encode(claims, "", "none", headers={"kid": header["kid"]}))
    await assert_refused(world, f"{head}.{as_bo}.{proof}")
    await assert_refused(world, f"{head}.{payload}.")
    assert (await ask(world, good)).status_code == 200


async def test_the_public_key_is_no_shared_secret(world: World) -> None:
    good = world.gateway.auth.access_token(ANA)
    key_id = jwt.get_unverified_header(good)["kid"]
    published = (await world.http.get(f"{world.gateway.url}/auth/v1/.well-known/jwks.json")).json()["keys"][0]
    public = jwt.PyJWK(published).key
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": key_id}).encode()).rstrip(b"=")
    signed = head + b"." + good.split(".")[1].encode()
    for secret in (pem, json.dumps(published).encode(), b""):
        proof = base64.urlsafe_b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).rstrip(b"=")
        await assert_refused(world, signed + b"." + proof)


async def test_what_is_no_token_is_refused(world: World) -> None:
    nested = base64.urlsafe_b64encode(b"[" * 3000).rstrip(b"=")
    for token in (
        *("x", "a.b.c", "..", "ñ.ñ.ñ", "ñ", b"\xff\xfe", "null", SERVICE_KEY[:-1], SERVICE_KEY + "x"),
        *(nested + b".e30.x", b"e30.e30.e30", b"x" * 8000),
    ):
        await assert_refused(world, token)
    for header in ("Basic " + SERVICE_KEY, "Bearer", SERVICE_KEY, "Bearer\t" + SERVICE_KEY, ""):
        answer = await world.http.get("/prebookings", headers={"Authorization": header, "X-User-Email": ANA})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


async def test_a_trusted_server_names_the_user_in_the_bytes_of_utf8(world: World) -> None:
    for email in ("josé@example.com", "JOSÉ@Example.com"):
        headers = {b"Authorization": b"Bearer " + SERVICE_KEY.encode(), b"X-User-Email": email.encode()}
        created = await world.http.post("/prebookings", headers=headers, json=world.wish(SOON))
        assert created.json()["user_email"] == "josé@example.com"


async def test_a_trusted_server_must_name_a_user(world: World) -> None:
    for email in ("", "ana", "@" + "x" * 254, "a@b\tc"):
        answer = await ask(world, SERVICE_KEY, X_User_Email=email)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "X-User-Email")
    raw = await world.http.get(
        "/prebookings", headers=[(b"Authorization", b"Bearer " + SERVICE_KEY.encode()), (b"X-User-Email", b"\xff@x")]
    )
    assert raw.status_code == 422


async def test_without_a_service_key_nobody_is_a_trusted_server(database: asyncpg.Connection, outside: Outside) -> None:
    async with open_world(database, *outside, service_api_key=None) as world:
        for token in (SERVICE_KEY, "None", "null"):
            await assert_refused(world, token)


async def test_each_algorithm_is_checked_by_its_own_kind_of_key(database: asyncpg.Connection, outside: Outside) -> None:
    async with open_world(database, *outside, supabase_jwt_secret=SECRET) as world:
        signed_by_key = world.gateway.auth.access_token(ANA)
        key_id = jwt.get_unverified_header(signed_by_key)["kid"]
        claims = jwt.decode(signed_by_key, options={"verify_signature": False})
        signed_by_secret = jwt.encode(claims, SECRET, "HS256")

        assert (await ask(world, signed_by_secret)).status_code == 200
        assert (await ask(world, signed_by_key)).status_code == 200
        assert (await ask(world, jwt.encode(claims, SECRET, "HS256", headers={"kid": key_id}))).status_code == 200
        await assert_refused(world, jwt.encode(claims, SECRET, "HS512"))
        await assert_refused(world, jwt.encode(claims, SECRET + "x", "HS256"))
        await assert_refused(world, jwt.encode(claims | {"iss": "x"}, SECRET, "HS256"))
        for secret in (b"", key_id.encode(), json.dumps(world.gateway.auth._tokens.key_set()["keys"][0]).encode()):
            head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": key_id}).encode()).rstrip(b"=")
            signed = head + b"." + signed_by_secret.split(".")[1].encode()
            proof = base64.urlsafe_b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).rstrip(b"=")
            await assert_refused(world, signed + b"." + proof)
    async with open_world(database, *outside) as world:
        await assert_refused(world, signed_by_secret)


async def test_the_issuer_is_what_supabase_calls_itself(database: asyncpg.Connection, outside: Outside) -> None:
    issuer = "http://localhost:8000/auth/v1/"
    async with open_world(database, *outside, supabase_jwt_issuer=issuer) as world:
        assert (await ask(world, signed(world, {"iss": issuer}))).status_code == 200
        await assert_refused(world, world.gateway.auth.access_token(ANA))
        await assert_refused(world, signed(world, {"iss": issuer[:-1]}))


async def test_why_a_token_was_refused_is_counted_and_logged_once_a_minute(
    world: World, subtests: pytest.Subtests
) -> None:
    good = world.gateway.auth.access_token(ANA)
    claims = jwt.decode(good, options={"verify_signature": False})
    key_id = jwt.get_unverified_header(good)["kid"]
    other = ec.generate_private_key(ec.SECP256R1())
    refused = {
        "malformed": ("x", "refused"),
        "algorithm": (jwt.encode(claims, SECRET, "HS512"), "HS512"),
        "no_secret": (jwt.encode(claims, SECRET, "HS256"), "SUPABASE_JWT_SECRET"),
        "key": (jwt.encode(claims, other, "ES256", headers={"kid": "unknown"}), "unknown"),
        "signature": (jwt.encode(claims, other, "ES256", headers={"kid": key_id}), "ignature"),
        "issuer": (signed(world, {"iss": "https://x\n.example.com"}), "https://x?.example.com"),
        "audience": (signed(world, {"aud": "anon"}), "anon"),
        "expired": (signed(world, {"exp": now() - 40}), "expired"),
        "not_yet": (signed(world, {"nbf": now() + 40}), "not yet"),
        "claims": (signed(world, {"exp": None}), "exp"),
        "role": (signed(world, {"role": "anon"}), "anon"),
        "email": (signed(world, {"email": "ana"}), "e-mail"),
    }
    for check, (token, said) in refused.items():
        with subtests.test(check=check), capture_logs() as logs:
            for _ in range(3):
                await assert_refused(world, token)
            (line,) = [line for line in logs if line["event"] == "token_refused"]
            assert line["check"] == check
            assert said in line["reason"] or check == "malformed"
            assert ANA not in str(line)
            text = world.services.metrics.exposition()[0].decode()
            assert f'prebooking_token_refusals_total{{reason="{check}"}} 3.0' in text


async def test_a_flood_of_refused_tokens_is_a_line_a_minute_with_how_many_there_were() -> None:
    clock = [0.0]
    refused = RefusedTokens(now=lambda: clock[0])
    with capture_logs() as logs:
        for second in range(121):
            clock[0] = float(second)
            refused.note(TokenRefusedError(TokenCheck.KEY, "no such key"))
    assert [line["others"] for line in logs] == [0, 59, 59]
