"""/openapi.json: the contract, generated from the routes and from the types that validate."""

from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking import __version__
from prebooking.web.openapi.operations import OPEN, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import Problem, title_of
from prebooking.web.schemas.responses import ProblemDetails

_Json = dict[str, Any]

_DESCRIPTION = """\
Books gym classes at the instant at which they open.

Every answer has an `X-Request-Id`: the one that was sent, where it is 8 to 64 letters, digits, `-` and `_`, else a new
one. Every error is `application/problem+json` (RFC 9457) with a `code`. Times are RFC 3339 with an offset."""

_SECURITY_SCHEMES = {
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of a user who is signed in at Supabase.",
    },
    "serviceKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A trusted server's SERVICE_API_KEY. It speaks for the user whom X-User-Email names.",
    },
    "metricsKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "The METRICS_KEY, or the SERVICE_API_KEY where there is none.",
    },
    "userEmail": {"type": "apiKey", "in": "header", "name": "X-User-Email"},
    "qstashSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "Upstash-Signature",
        "description": "A JWT of QStash's over the URL and the raw body.",
    },
}
_HEADERS = {
    "X-Request-Id": "The id under which this request is logged.",
    "Retry-After": "Seconds to wait before another try.",
    "Upstash-NonRetryable-Error": "Always true.",
    "WWW-Authenticate": "How to say who is asking.",
}
_SOME_ID = "0c8f6b52-5d0f-4c9a-9f0e-2f6b1f4f7a11"
_SOME_REQUEST_ID = "7c9f2d4be01a3c58"


def openapi_route(routes: Sequence[ApiRoute], prefix: str = "") -> ApiRoute:
    """Serves the document of these routes and of itself. `prefix`: the path below which they are reached."""

    async def openapi(request: Request) -> Response:
        body = body_for(request.scope.get("root_path") or prefix)
        return Response(body, headers={"Cache-Control": "public, max-age=300"}, media_type="application/json")

    @lru_cache(maxsize=4)  # it takes longer than most answers
    def body_for(server: str) -> bytes:
        return bytes(JSONResponse(told | ({"servers": [{"url": server}]} if server else {})).body)

    operation = Operation(
        id="getOpenApi",
        tag="service",
        summary="This contract",
        security=OPEN,
        answers={200: ResponseSpec("OpenAPI 3.1.", dict[str, Any])},
    )
    route = ApiRoute("GET", "/openapi.json", openapi, operation)
    told = document([*routes, route])
    return route


def document(routes: Sequence[ApiRoute]) -> _Json:
    schemas = _Schemas(route.operation for route in routes)
    paths: dict[str, _Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Prebooking", "version": __version__, "description": _DESCRIPTION},
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": _SECURITY_SCHEMES},
    }


class _Terse(GenerateJsonSchema):
    """Without what says nothing: a title that repeats a field's name, a default of null."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # as pydantic calls it
        return False

    def default_schema(self, schema: Any) -> _Json:
        told = super().default_schema(schema)
        return {name: value for name, value in told.items() if (name, value) != ("default", None)}


class _Schemas:
    """All types' schemas, made together so that they share their components."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        wanted: list[tuple[Any, JsonSchemaMode]] = [(ProblemDetails, "serialization")]
        in_parts: dict[type, None] = {}
        for operation in operations:
            in_parts |= dict.fromkeys(kind for kind in (operation.query, operation.headers) if kind)
            wanted += [(operation.body, "validation")] if operation.body else []
            wanted += [(answer.type, "serialization") for answer in operation.answers.values() if answer.type]
        wanted += [(kind, "validation") for kind in in_parts]
        inputs = [(kind, mode, TypeAdapter(kind)) for kind, mode in dict.fromkeys(wanted)]
        self._found, made = TypeAdapter.json_schemas(
            inputs, ref_template="#/components/schemas/{model}", schema_generator=_Terse
        )
        self.components: _Json = made["$defs"]
        self._in_parts = {kind: self.components.pop(kind.__name__) for kind in in_parts}

    def of(self, kind: Any, mode: JsonSchemaMode) -> _Json:
        return dict(self._found[kind, mode])

    def parameters(self, kind: type | None, where: str, in_path: Container[str]) -> list[_Json]:
        """A model's fields, each by itself, those in the path too; that one may be left out is no null."""
        if kind is None:
            return []
        shape = self._in_parts[kind]
        required = shape.get("required", ())
        return [
            _parameter(name, dict(schema), "path" if name in in_path else where, required=name in required)
            for name, schema in shape["properties"].items()
        ]


def _parameter(name: str, schema: _Json, where: str, *, required: bool) -> _Json:
    described = {"description": schema.pop("description")} if "description" in schema else {}
    if "anyOf" in schema:
        kinds = [one for one in schema.pop("anyOf") if one != {"type": "null"}]
        schema |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return {"name": name, "in": where, "required": required, "schema": schema} | described


def _operation(route: ApiRoute, schemas: _Schemas) -> _Json:
    operation = route.operation
    parameters = schemas.parameters(operation.query, "query", route.param_convertors)
    parameters += schemas.parameters(operation.headers, "header", route.param_convertors)
    parameters += [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
        for name in route.param_convertors
        if name not in {parameter["name"] for parameter in parameters}
    ]
    told: _Json = {"operationId": operation.id, "tags": [operation.tag], "summary": operation.summary}
    if operation.description:
        told["description"] = operation.description
    told["security"] = [{scheme: [] for scheme in together} for together in operation.security]
    if parameters:
        told["parameters"] = parameters
    if operation.body:
        content = {"application/json": {"schema": schemas.of(operation.body, "validation")}}
        told["requestBody"] = {"required": not operation.body_optional, "content": content}
    answers = {str(status): _answer(answer, schemas) for status, answer in operation.answers.items()}
    told["responses"] = answers | _refusals(route, schemas)
    return told


def _answer(answer: ResponseSpec, schemas: _Schemas) -> _Json:
    told: _Json = {"description": answer.description, "headers": _headers(answer.headers)}
    if answer.type is not None:
        told["content"] = {answer.media_type: {"schema": schemas.of(answer.type, "serialization")}}
    return told


def _refusals(route: ApiRoute, schemas: _Schemas) -> _Json:
    by_status: dict[int, list[Problem]] = {}
    for problem in route.operation.problems:
        by_status.setdefault(problem.status, []).append(problem)
    instance = route.path.replace("{id}", _SOME_ID).replace("{subdomain}", "mygym")
    return {
        str(status): {
            "description": title_of(status),
            "headers": _headers(*(problem.headers for problem in problems)),
            "content": {
                "application/problem+json": {
                    "schema": schemas.of(ProblemDetails, "serialization"),
                    "examples": {
                        f"{one.code}{f'-{n}' if n else ''}": {"value": one.details(instance, _SOME_REQUEST_ID)}
                        for code in dict.fromkeys(one.code for one in problems)
                        for n, one in enumerate(one for one in problems if one.code == code)
                    },
                }
            },
        }
        for status, problems in sorted(by_status.items())
    }


def _headers(*given: Mapping[str, str]) -> _Json:
    """Those that each of these answers has are promised; the others may be there."""
    names = dict.fromkeys(["X-Request-Id", *(name for headers in given for name in headers)])
    return {
        name: {
            "description": _HEADERS.get(name) or given[0][name],
            "required": name == "X-Request-Id" or all(name in headers for headers in given),
            "schema": {"type": "integer", "minimum": 1} if name == "Retry-After" else {"type": "string"},
        }
        for name in names
    }
