"""The login, as the unmodified Supabase client and anybody with the published keys meet it."""

from collections.abc import AsyncIterator

import httpx
import jwt
import pytest
from supabase import AsyncClient, AsyncClientOptions, acreate_client
from supabase_auth.errors import AuthApiError

from prebooking_local.postgres import Postgres
from prebooking_local.supabase import Gateway, Member, supabase_gateway

ANA = Member("ana@example.com", "correct horse")
LOGIN = {"email": "Ana@Example.com", "password": ANA.password}


@pytest.fixture(scope="module")
async def gateway(server: Postgres) -> AsyncIterator[Gateway]:
    async with supabase_gateway(server.dsn(user="authenticator"), members=[ANA]) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
async def page(gateway: Gateway, http: httpx.AsyncClient) -> AsyncClient:
    options = AsyncClientOptions(httpx_client=http, persist_session=False, auto_refresh_token=False)
    return await acreate_client(gateway.url, gateway.publishable_key, options)


async def sign_in(page: AsyncClient, password: str = ANA.password) -> tuple[str, str]:
    answer = await page.auth.sign_in_with_password({"email": ANA.email, "password": password})
    assert answer.session
    return answer.session.access_token, answer.session.refresh_token


async def test_a_member_signs_in_and_is_who_they_are(page: AsyncClient) -> None:
    token, _ = await sign_in(page)
    answer = await page.auth.get_user(token)

    assert answer
    assert (answer.user.id, answer.user.email) == (str(ANA.id), ANA.email)


async def test_a_token_is_verified_with_the_published_key_alone(
    gateway: Gateway, http: httpx.AsyncClient, page: AsyncClient
) -> None:
    token, _ = await sign_in(page)
    key_set = (await http.get(f"{gateway.url}/auth/v1/.well-known/jwks.json")).json()
    published = jwt.PyJWKSet.from_dict(key_set)
    key = published[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, ["ES256"], audience="authenticated", issuer=f"{gateway.url}/auth/v1")

    assert (claims["role"], claims["email"], claims["sub"]) == ("authenticated", ANA.email, str(ANA.id))
    assert claims["exp"] - claims["iat"] == 3600
    assert "d" not in key_set["keys"][0]  # the private part


async def test_a_wrong_password_and_an_unknown_member_look_the_same(page: AsyncClient) -> None:
    with pytest.raises(AuthApiError) as wrong:
        await sign_in(page, "guessed")
    with pytest.raises(AuthApiError) as unknown:
        await page.auth.sign_in_with_password({"email": "nobody@example.com", "password": "guessed"})

    for error in (wrong.value, unknown.value):
        assert (error.status, error.code, error.message) == (
            400,
            "invalid_credentials",
            "Invalid login credentials",
        )


async def test_errors_have_the_shape_of_the_api_version_asked_for(gateway: Gateway, http: httpx.AsyncClient) -> None:
    url, headers = f"{gateway.url}/auth/v1/token?grant_type=password", {"apikey": gateway.publishable_key}
    wrong = {**LOGIN, "password": "guessed"}
    older = await http.post(url, json=wrong, headers=headers)
    newer = await http.post(url, json=wrong, headers={**headers, "x-supabase-api-version": "2024-01-01"})

    message = "Invalid login credentials"
    assert older.json() == {"code": 400, "error_code": "invalid_credentials", "msg": message}
    assert newer.json() == {"code": "invalid_credentials", "message": message}


async def test_a_refresh_token_is_good_once(page: AsyncClient) -> None:
    _, refresh_token = await sign_in(page)
    renewed = await page.auth.refresh_session(refresh_token)

    assert renewed.session
    assert renewed.session.refresh_token != refresh_token
    with pytest.raises(AuthApiError) as caught:
        await page.auth.refresh_session(refresh_token)
    assert str(caught.value.code) == "refresh_token_not_found"


async def test_signing_out_ends_the_session(page: AsyncClient) -> None:
    await sign_in(page)
    session = await page.auth.get_session()
    assert session
    await page.auth.sign_out()

    with pytest.raises(AuthApiError):
        await page.auth.refresh_session(session.refresh_token)


async def test_a_forged_token_is_nobody(gateway: Gateway, page: AsyncClient) -> None:
    forged = jwt.encode({"sub": str(ANA.id), "aud": "authenticated", "role": "authenticated", "exp": 2**33}, "k" * 32)

    with pytest.raises(AuthApiError) as caught:
        await page.auth.get_user(forged)
    assert caught.value.code == "bad_jwt"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("token?grant_type=password", b"{", 400, "bad_json"),
        ("token?grant_type=password", b"[]", 400, "bad_json"),
        ("token?grant_type=telepathy", b"{}", 400, "invalid_credentials"),
        ("logout", b"", 401, "no_authorization"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(
    gateway: Gateway, http: httpx.AsyncClient, path: str, body: bytes, status: int, code: str
) -> None:
    headers = {"apikey": gateway.publishable_key}
    response = await http.post(f"{gateway.url}/auth/v1/{path}", content=body, headers=headers)

    assert (response.status_code, response.json()["error_code"]) == (status, code)


async def test_the_login_needs_an_api_key_too(gateway: Gateway, http: httpx.AsyncClient) -> None:
    response = await http.post(f"{gateway.url}/auth/v1/token?grant_type=password", json=LOGIN)

    assert (response.status_code, response.json()["message"]) == (401, "No API key found in request")


async def test_a_page_from_another_origin_may_sign_in(gateway: Gateway, http: httpx.AsyncClient) -> None:
    asked = {
        "origin": "http://localhost:8000",
        "access-control-request-method": "POST",
        "access-control-request-headers": "apikey,authorization,content-type,x-client-info",
    }
    response = await http.options(f"{gateway.url}/auth/v1/token", headers=asked)

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"
    assert "apikey" in response.headers["access-control-allow-headers"]
