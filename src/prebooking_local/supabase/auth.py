"""`/auth/v1`: as much of Supabase Auth as signs a member in and keeps them signed in."""

import json
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prebooking_local.supabase.keys import Keyring, bearer_token
from prebooking_local.supabase.tokens import AUDIENCE, LIFETIME_S, Member, Tokens

CODED_ERRORS_SINCE = "2024-01-01"  # the API version whose errors carry their name as `code`


class AuthError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def response(self, request: Request) -> Response:
        if request.headers.get("x-supabase-api-version", "") >= CODED_ERRORS_SINCE:
            headers = {"x-supabase-api-version": CODED_ERRORS_SINCE}
            return JSONResponse({"code": self.code, "message": self.message}, self.status, headers)
        body = {"code": self.status, "error_code": self.code, "msg": self.message}
        return JSONResponse(body, self.status)


@dataclass(frozen=True)
class Session:
    id: str
    member: Member


class Auth:
    def __init__(self, keys: Keyring, tokens: Tokens, members: Iterable[Member]) -> None:
        self._keys = keys
        self._tokens = tokens
        self._members = {member.email.lower(): member for member in members}
        self._sessions: dict[str, Session] = {}  # by refresh token, each good for one use
        self._started = datetime.now(UTC)
        self.confirms_itself = False  # true where "Confirm email" is off
        self.takes_anonymous = False

    def routes(self) -> list[Route]:
        return [
            Route("/token", self.token, methods=["POST"]),
            Route("/user", self.user),
            Route("/logout", self.logout, methods=["POST"]),
            Route("/.well-known/jwks.json", self.key_set),
            Route("/.well-known/openid-configuration", self.configuration),
            Route("/settings", self.settings),
        ]

    def access_token(self, email: str, **changed: Any) -> str:
        """Returns a member's token without the login; claims may be changed."""
        return self._tokens.issue(self._members[email.lower()], str(uuid4()), **changed)

    async def token(self, request: Request) -> Response:
        self._keys.role_of_key(request.headers)
        grant = request.query_params.get("grant_type")
        given = await _fields(request)
        if grant == "password":
            session = Session(str(uuid4()), self._member(given))
        elif grant == "refresh_token":
            session = self._renewed(given)
        else:
            raise AuthError(400, "invalid_credentials", "unsupported_grant_type")
        return JSONResponse(self._signed_in(session))

    async def user(self, request: Request) -> Response:
        return JSONResponse(self._profile(self._signed_in_member(request)))

    async def logout(self, request: Request) -> Response:
        """Ends every session of the member; access tokens live on until they expire."""
        member = self._signed_in_member(request)
        self._sessions = {token: s for token, s in self._sessions.items() if s.member != member}
        return Response(status_code=204)

    async def key_set(self, _request: Request) -> Response:
        return JSONResponse(self._tokens.key_set(), headers={"cache-control": "public, max-age=600"})

    async def configuration(self, _request: Request) -> Response:
        issuer = self._tokens.issuer
        told = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/oauth/authorize",
            "token_endpoint": f"{issuer}/oauth/token",
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "ES256"],
        }
        return JSONResponse(told, headers={"cache-control": "public, max-age=600"})

    async def settings(self, request: Request) -> Response:
        """Answers with what anybody with a key may know of how one signs up."""
        self._keys.role_of_key(request.headers)
        told = {
            "external": {"anonymous_users": self.takes_anonymous, "email": True, "phone": False},
            "disable_signup": False,
            "mailer_autoconfirm": self.confirms_itself,
            "phone_autoconfirm": False,
            "sms_provider": "",
            "saml_enabled": False,
        }
        return JSONResponse(told)

    def _member(self, given: dict[str, Any]) -> Member:
        member = self._members.get(str(given.get("email", "")).lower())
        if member is None or member.password != given.get("password"):
            raise AuthError(400, "invalid_credentials", "Invalid login credentials")
        return member

    def _renewed(self, given: dict[str, Any]) -> Session:
        session = self._sessions.pop(str(given.get("refresh_token")), None)
        if session is None:
            message = "Invalid Refresh Token: Refresh Token Not Found"
            raise AuthError(400, "refresh_token_not_found", message)
        return session

    def _signed_in_member(self, request: Request) -> Member:
        self._keys.role_of_key(request.headers)
        token = bearer_token(request.headers)
        if token is None:
            message = "This endpoint requires a valid Bearer token"
            raise AuthError(401, "no_authorization", message)
        try:
            claims = self._tokens.claims_of(token)
        except jwt.InvalidTokenError as exc:
            message = f"invalid JWT: unable to parse or verify signature, {exc}"
            raise AuthError(403, "bad_jwt", message) from exc
        member = self._members.get(str(claims.get("email")).lower())
        if member is None:
            raise AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
        return member

    def _signed_in(self, session: Session) -> dict[str, Any]:
        refresh_token = secrets.token_urlsafe(9)
        self._sessions[refresh_token] = session
        return {
            "access_token": self._tokens.issue(session.member, session.id),
            "token_type": "bearer",
            "expires_in": LIFETIME_S,
            "expires_at": int(time.time()) + LIFETIME_S,
            "refresh_token": refresh_token,
            "user": self._profile(session.member),
            "weak_password": None,
        }

    def _profile(self, member: Member) -> dict[str, Any]:
        since = self._started.isoformat()
        return {
            "id": str(member.id),
            "aud": AUDIENCE,
            "role": "authenticated",
            "email": member.email,
            "email_confirmed_at": since,
            "phone": "",
            "confirmed_at": since,
            "last_sign_in_at": datetime.now(UTC).isoformat(),
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": {"email_verified": True},
            "identities": [],
            "created_at": since,
            "updated_at": since,
            "is_anonymous": False,
        }


async def _fields(request: Request) -> dict[str, Any]:
    try:
        given = json.loads(await request.body())
    except ValueError as exc:
        raise AuthError(400, "bad_json", f"Could not parse request body as JSON: {exc}") from exc
    if not isinstance(given, dict):
        raise AuthError(400, "bad_json", "Could not parse request body as JSON: not an object")
    return given
