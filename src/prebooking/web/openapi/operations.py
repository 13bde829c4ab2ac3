"""What a route takes, gives and refuses, declared beside its handler; /openapi.json is generated from it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from prebooking.web.problems import BROKEN, DATABASE_DOWN, STOPPING, Problem, email_taken, identity_unknown, invalid
from prebooking.web.requests import too_large

#: Who may ask: any one of these, each a set of schemes that are needed together. Empty: everybody.
Security = Sequence[Sequence[str]]
OPEN: Security = ()
USER: Security = (("accessToken",), ("serviceKey", "userEmail"))
METRICS: Security = (("metricsKey",),)
QSTASH: Security = (("qstashSignature",),)


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """`type` is what pydantic makes a schema of; None: no body."""

    description: str
    type: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)  #: by name, what they say
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
    answers: Mapping[int, ResponseSpec]
    problems: Sequence[Problem] = ()  #: each as it may be answered: they are the examples


Handler = Callable[[Request], Awaitable[Response]]


class ApiRoute(Route):
    """A route that says what it is."""

    def __init__(self, method: str, path: str, endpoint: Handler, operation: Operation) -> None:
        super().__init__(path, endpoint, methods=[method])
        self.method = method
        self.operation = operation


# What is refused alike wherever it applies.
ALWAYS = (BROKEN, STOPPING)
OF_USERS = (
    *(*ALWAYS, DATABASE_DOWN, identity_unknown()),
    Problem(401, "The access token has expired: sign in again or refresh it.", headers={"WWW-Authenticate": "Bearer"}),
    email_taken("ana@example.com"),
    invalid("X-User-Email", "name the user by e-mail"),
)
BAD_BODY = (
    Problem(400, "The body is not JSON: Expecting ',' delimiter: line 1 column 27 (char 26)"),
    Problem(408, "The body did not arrive within 10 s."),
    too_large(),
    Problem(415, "Send JSON, with the header Content-Type: application/json."),
)
