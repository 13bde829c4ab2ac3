"""Declares the operation of a route beside its handler: parameters, body, responses and problems."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from prebooking.web.problems import BROKEN, DATABASE_DOWN, STOPPING, Problem, email_taken, identity_unknown, invalid
from prebooking.web.requests import too_large

#: Alternatives, each a set of security schemes that are required together. Empty: the operation is public.
Security = Sequence[Sequence[str]]
OPEN: Security = ()
USER: Security = (("accessToken",), ("serviceKey", "userEmail"))
METRICS: Security = (("metricsKey",),)
QSTASH: Security = (("qstashSignature",),)


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """A successful response. pydantic makes the schema of `type`; None: the response has no body."""

    description: str
    type: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)  #: descriptions by name
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    id: str  #: names the function of a generated client
    tag: str
    summary: str
    description: str = ""
    security: Security = USER
    query: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_optional: bool = False
    responses: Mapping[int, ResponseSpec]
    problems: Sequence[Problem] = ()  #: the errors that it may answer; they become the examples


Handler = Callable[[Request], Awaitable[Response]]


class ApiRoute(Route):
    """A route with its operation."""

    def __init__(self, method: str, path: str, endpoint: Handler, operation: Operation) -> None:
        super().__init__(path, endpoint, methods=[method])
        self.method = method
        self.operation = operation


# Problems that many operations share.
ALWAYS = (BROKEN, STOPPING)
OF_USERS = (
    *(*ALWAYS, DATABASE_DOWN, identity_unknown()),
    Problem(401, "The access token has expired: sign in again or refresh it.", headers={"WWW-Authenticate": "Bearer"}),
    email_taken("ana@example.com"),
    invalid("X-User-Email", "must be the user's e-mail address, such as ana@example.com"),
)
BAD_BODY = (
    Problem(400, "The body is not JSON: Expecting ',' delimiter: line 1 column 27 (char 26)"),
    Problem(408, "The body did not arrive within 10 s."),
    too_large(),
    Problem(415, "Send JSON, with the header Content-Type: application/json."),
)
