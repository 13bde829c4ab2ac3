"""Tokens that Supabase did not issue to this user: each is refused with 401, and nothing is touched or asked for."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.support.world import Outside, World, open_world

from prebooking.adapters.key_set import KeySet
from prebooking_local.serving import serve_asgi

ANA = "ana@example.com"
SOON = datetime.now(UTC) + timedelta(hours=5)
SECRET = "the-jwt-secret-of-a-legacy-project-" + "0123456789" * 3
Claims = dict[str, Any]


def segment(said: Any) -> str:
    raw = said if isinstance(said, bytes) else json.dumps(said).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def sealed(claims: Any, key: Any, algorithm: str, **header: Any) -> str:
    """Signed whatever it says: jwt.encode is particular about claims."""
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, algorithm, headers=header)


def each(claim: str, *values: Any) -> list[Claims]:
    return [{claim: value} for value in values]


def good_claims(world: World) -> Claims:
    return jwt.decode(world.gateway.auth.access_token(ANA), options={"verify_signature": False})


def wrong_claims(world: World) -> Iterable[Claims]:
    """What Supabase itself could have signed, for somebody or something else."""
    good, now = good_claims(world), int(time.time())
    changes: tuple[Claims, ...] = (
        *({"exp": now - seconds} for seconds in (31, 40, 90, 10**9)),
        *each("exp", None, "x", [], {}, 1e400, float("nan"), ""),
        *each("nbf", now + 32, now + 90, "x", [], 1e400),
        *each("iat", now + 90, "x", [], {}),
        *each("iss", None, "", 5, [good["iss"]], good["iss"] + "/", good["iss"].upper(), "supabase"),
        {"iss": "https://other.supabase.co/auth/v1"},
        *each("aud", None, "", "anon", "Authenticated", ["anon"], [], [5], {"authenticated": 1}, 5),
        *each("role", None, "", "anon", "service_role", "AUTHENTICATED", ["authenticated"], 5, {}),
        *each("sub", None, 5, [], {}),
        *each("is_anonymous", True, 1, "true", "false", None, []),
        *each("email", None, "", 5, [ANA], {"a": ANA}, True, "ana", "@", "ana@", "@example.com"),
        *each("email", "a@b@c", "ana @example.com", " " + ANA, ANA + " ", ANA + "\n", ANA + "\0"),
        *each("email", "\0" + ANA, "\u202e" + ANA, "an\u200ba@example.com", "x" * 250 + "@x.de"),
        {"email": "an\u212a@example.com"},  # the Kelvin sign, whose lower case is k
        *each("email_verified", False, None, 0, "false"),
        {"jti": 5},
    )
    for changed in changes:
        yield {**{name: value for name, value in good.items() if name not in changed}, **changed}
    for claim in ("exp", "iss", "aud", "sub", "email", "role"):
        yield {name: value for name, value in good.items() if name != claim}
    # What users write into their own profile counts for nothing.
    yield {k: v for k, v in good.items() if k != "email"} | {"user_metadata": {"email": ANA, "email_verified": True}}
    yield good | {"role": "anon", "app_metadata": {"role": "authenticated"}}


def wrong_signatures(world: World, lure: str) -> Iterable[str]:
    """Right claims under a wrong proof."""
    claims, tokens = good_claims(world), world.gateway.auth._tokens
    ours, kid = tokens._key, tokens._key_id
    head, payload, proof = sealed(claims, ours, "ES256", kid=kid).split(".")
    theirs, theirs_rsa = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    jwk = json.loads(ECAlgorithm.to_jwk(theirs.public_key())) | {"kid": kid}
    # A key of their own: with our id, with a new one, brought along, or to be fetched from a place of theirs.
    yield sealed(claims, theirs, "ES256", kid=kid)
    yield sealed(claims, theirs, "ES256")
    yield sealed(claims, theirs, "ES256", kid=kid, jwk=jwk)
    yield sealed(claims, theirs, "ES256", jwk=jwk)
    for where in ("jku", "x5u"):
        yield sealed(claims, theirs, "ES256", kid=kid, **{where: lure})
        yield sealed(claims, theirs, "ES256", kid="theirs", **{where: lure})
    yield sealed(claims, theirs, "ES256", kid=kid, x5c=[segment(b"certificate")])
    for odd_kid in (lure, "../../dev/null", "/etc/passwd", "' or 1=1 --", "k\0", kid + "\0", kid.upper(), "x" * 3000):
        yield sealed(claims, theirs, "ES256", kid=odd_kid)
    for no_kid in (None, 5, [kid], {"kid": kid}, True, ""):
        yield ".".join((segment({"alg": "ES256", "kid": no_kid}), payload, proof))
    # Other algorithms under our key's id.
    yield sealed(claims, theirs_rsa, "RS256", kid=kid)
    yield sealed(claims, theirs_rsa, "PS256", kid=kid)
    yield sealed(claims, ec.generate_private_key(ec.SECP384R1()), "ES384", kid=kid)
    algorithms: tuple[Any, ...] = (
        "none",
        "None",
        "nOnE",
        "",
        None,
        "es256",
        "ES384",
        "RS256",
        "EdDSA",
        "HS256",
        5,
        ["ES256"],
        {},
    )
    for algorithm in algorithms:
        yield ".".join((segment({"alg": algorithm, "kid": kid, "typ": "JWT"}), payload, proof))
        yield ".".join((segment({"alg": algorithm, "kid": kid, "typ": "JWT"}), payload, ""))
    published = ours.public_key()
    pem = published.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = published.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, pem.strip(), der, ECAlgorithm.to_jwk(published).encode(), kid.encode(), b"", b"null"):
        signed = segment({"alg": "HS256", "kid": kid}) + "." + payload
        yield signed + "." + segment(hmac.digest(secret, signed.encode(), hashlib.sha256))
    # Our proof under something else.
    yield ".".join((head, segment(claims | {"email": "bo@example.com"}), proof))
    yield ".".join((head, payload, proof[:-4] + "AAAA"))
    yield ".".join((head, payload, segment(b"\0" * 64)))  # the signature of zeroes
    yield f"{head}.{payload}."
    yield f"{head}.{payload}"
    yield f"{head}.{payload}.{proof}.{proof}"
    yield ".".join((segment({"alg": "ES256", "kid": kid, "crit": ["exp"]}), payload, proof))
    yield from ("null", "..", "undefined", "Bearer " + head, "x" * 8000, segment(b"[" * 3000) + ".e30.x")
    claimless: tuple[Any, ...] = ([], "x", 5, None)
    for said in claimless:
        yield sealed(said, ours, "ES256", kid=kid)


class Lure:
    """Publishes a key for whoever would follow a token's word."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, _: Request) -> Response:
        self.asked += 1
        return JSONResponse({"keys": []})


@asynccontextmanager
async def luring() -> AsyncIterator[tuple[Lure, str]]:
    lure = Lure()
    async with serve_asgi(Starlette(routes=[Route("/keys", lure.__call__)]), host="127.0.0.1", port=0) as url:
        yield lure, f"{url}/keys"


async def create(world: World, token: str) -> int:
    """What would leave a row and a message behind."""
    headers = {b"Authorization": b"Bearer " + token.encode(errors="replace"), b"X-User-Email": ANA.encode()}
    answer = await world.http.post("/prebookings", headers=headers, json=world.wish(SOON))
    if answer.status_code == 401:
        assert answer.json()["code"] == "unauthorized"
        assert answer.headers["www-authenticate"] == "Bearer"
    return answer.status_code


async def test_a_token_of_nobody_here_is_refused_and_touches_nothing(
    sweepless: World, subtests: pytest.Subtests
) -> None:
    world, tokens = sweepless, sweepless.gateway.auth._tokens
    broker, tried = world.qstash.qstash.broker, 0
    orders = len(broker.pending), len(broker.finished)
    async with luring() as (lure, url):
        wrong = [sealed(claims, tokens._key, "ES256", kid=tokens._key_id) for claims in wrong_claims(world)]
        for token in (*wrong, *wrong_signatures(world, url)):
            tried += 1
            with subtests.test(token=token[:60], claims=_shown(token)):
                assert await create(world, token) == 401
        assert lure.asked == 0
    assert await world.database.fetchval("select count(*) from public.prebookings") == 0
    assert (len(broker.pending), len(broker.finished)) == orders
    assert tried >= 100
    assert await create(world, world.gateway.auth.access_token(ANA)) == 201


def _shown(token: str) -> str:
    try:
        return repr(jwt.decode(token, options={"verify_signature": False}))[-200:]
    except jwt.PyJWTError:
        return ""


async def test_a_shared_secret_opens_nothing_but_what_it_signed_by_hs256(
    database: asyncpg.Connection, outside: Outside, subtests: pytest.Subtests
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, supabase_jwt_secret=SECRET) as world:
        claims, tokens = good_claims(world), world.gateway.auth._tokens
        for token in (
            sealed(claims, tokens._key, "ES256", kid="unknown"),
            sealed(claims, SECRET, "HS384"),
            sealed(claims, SECRET, "HS512"),
            *(sealed(claims, key, "HS256") for key in (SECRET[:-1], SECRET + "x", SECRET.upper(), SECRET[::-1])),
            sealed(claims | {"is_anonymous": True}, SECRET, "HS256"),
            sealed(claims | {"role": "service_role"}, SECRET, "HS256"),  # the legacy service key is such a token
            sealed({"iss": "supabase", "ref": "x", "role": "anon", "exp": claims["exp"]}, SECRET, "HS256"),
        ):
            with subtests.test(token=token[:60]):
                assert await create(world, token) == 401
        assert await create(world, sealed(claims, SECRET, "HS256", kid="whatever")) == 201


async def test_a_published_key_that_is_too_weak_opens_nothing(sweepless: World) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    claims, keys = good_claims(sweepless), sweepless.services.users.keys
    signed = segment({"alg": "RS256", "kid": "weak"}) + "." + segment(claims)
    token = signed + "." + segment(weak.sign(signed.encode(), PKCS1v15(), SHA256()))
    assert await create(sweepless, token) == 401
    assert isinstance(keys, KeySet)
    assert keys._keys is not None
    keys._keys["weak"] = jwt.PyJWK(json.loads(RSAAlgorithm.to_jwk(weak.public_key())) | {"kid": "weak"})
    assert await create(sweepless, token) == 401
