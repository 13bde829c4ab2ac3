"""Who is asking: the API key and the access token of a request become a database role and its claims."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from starlette.responses import JSONResponse, Response

from prebooking_local.supabase.errors import bad_token


@dataclass(frozen=True)
class Caller:
    role: str
    claims: str


class KeyRefusedError(Exception):
    """The gateway in front of PostgREST and the login turned the request away; its errors have no code."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.body = {"message": message, "hint": hint}

    def response(self) -> Response:
        return JSONResponse(self.body, 401)


@dataclass(frozen=True)
class Keyring:
    secret_key: str = field(repr=False)
    publishable_key: str
    claims_of: Callable[[str], dict[str, Any]]

    def role_of_key(self, headers: Mapping[str, str]) -> str:
        key = headers.get("apikey")
        if not key:
            raise KeyRefusedError("No API key found in request", "No `apikey` request header or url param was found.")
        if key == self.publishable_key:
            return "anon"
        if key != self.secret_key:
            raise KeyRefusedError("Invalid API key", "Double check your API key.")
        if headers.get("user-agent", "").startswith("Mozilla/"):
            raise KeyRefusedError(
                "Forbidden use of secret API key in browser",
                "Secret API keys can only be used in a protected environment.",
            )
        return "service_role"

    def caller(self, headers: Mapping[str, str]) -> Caller:
        role = self.role_of_key(headers)
        token = bearer_token(headers)
        if token is None or token == headers["apikey"]:
            return Caller(role, json.dumps({"role": role}))
        claims = self._claims(token)
        return Caller(str(claims["role"]), json.dumps(claims))

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            return self.claims_of(token)
        except jwt.ExpiredSignatureError as exc:
            raise bad_token("JWT expired", "PGRST303") from exc
        except jwt.InvalidTokenError as exc:
            parts = token.count(".") + 1
            message = "No suitable key or wrong key type" if parts == 3 else f"Expected 3 parts in JWT; got {parts}"
            raise bad_token(message) from exc


def bearer_token(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
