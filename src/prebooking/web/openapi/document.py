"""/openapi.json: the contract, generated from the routes and from the types that validate."""

from collections.abc import Container, Iterable, Mapping, Sequence
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
Books gym classes at the instant at which they open for booking.

Every response has the header `X-Request-Id`: the value that the client sent, if it is 8 to 64 letters, digits, `-` and
`_`, otherwise a generated one. Every error is `application/problem+json` (RFC 9457) with a `code`. Timestamps are RFC
3339 with an offset."""

_SECURITY_SCHEMES = {
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The Supabase access token of a signed-in user.",
    },
    "serviceKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "The SERVICE_API_KEY, for a trusted server that acts for the user named by X-User-Email.",
    },
    "metricsKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "The METRICS_KEY, or the SERVICE_API_KEY where METRICS_KEY is not set.",
    },
    "userEmail": {
        "type": "apiKey",
        "in": "header",
        "name": "X-User-Email",
        "description": "The e-mail address of the user for whom a trusted server acts.",
    },
    "qstashSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "Upstash-Signature",
        "description": "QStash's signature: a JWT over the URL and the raw body.",
    },
}
_HEADERS = {
    "X-Request-Id": "The request id, which is also in the log.",
    "Retry-After": "Seconds to wait before the next attempt.",
    "Upstash-NonRetryable-Error": "Always `true`: QStash must not retry this delivery.",
    "WWW-Authenticate": "The authentication scheme to use.",
}
_SOME_ID = "0c8f6b52-5d0f-4c9a-9f0e-2f6b1f4f7a11"
_SOME_REQUEST_ID = "7c9f2d4be01a3c58"


def openapi_route(routes: Sequence[ApiRoute], prefix: str = "") -> ApiRoute:
    """Returns the route that serves the document of these routes and of itself. `prefix`: the path below which clients
    reach them.
    """

    async def openapi(request: Request) -> Response:
        server = {"url": request.scope.get("root_path") or prefix or "/"}
        body = _json_bytes({"servers": [server]})[:-1] + b"," + rendered[1:]
        return Response(body, headers={"Cache-Control": "public, max-age=300"}, media_type="application/json")

    operation = Operation(
        id="getOpenApi",
        tag="service",
        summary="Get this OpenAPI document",
        security=OPEN,
        responses={200: ResponseSpec("The OpenAPI 3.1 document.", dict[str, Any])},
    )
    route = ApiRoute("GET", "/openapi.json", openapi, operation)
    rendered = _json_bytes(document([*routes, route]))  # once: it takes longer than most responses
    return route


def _json_bytes(content: _Json) -> bytes:
    return bytes(JSONResponse(content).body)


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
    """Leaves out titles that repeat a field's name, and defaults of null."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # as pydantic calls it
        return False

    def default_schema(self, schema: Any) -> _Json:
        rendered = super().default_schema(schema)
        return {name: value for name, value in rendered.items() if (name, value) != ("default", None)}


class _Schemas:
    """The schemas of all types, generated together so that they share components."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        wanted: list[tuple[Any, JsonSchemaMode]] = [(ProblemDetails, "serialization")]
        in_parts: dict[type, None] = {}
        for operation in operations:
            in_parts |= dict.fromkeys(kind for kind in (operation.query, operation.headers) if kind)
            wanted += [(operation.body, "validation")] if operation.body else []
            wanted += [(spec.type, "serialization") for spec in operation.responses.values() if spec.type]
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
        """Returns a parameter for each field of the model. An optional parameter may be absent, but is never null."""
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
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"},
            "description": f"The id of the {'series' if route.operation.tag == 'series' else 'prebooking'}.",
        }
        for name in route.param_convertors
        if name not in {parameter["name"] for parameter in parameters}
    ]
    rendered: _Json = {"operationId": operation.id, "tags": [operation.tag], "summary": operation.summary}
    if operation.description:
        rendered["description"] = operation.description
    rendered["security"] = [{scheme: [] for scheme in together} for together in operation.security]
    if parameters:
        rendered["parameters"] = parameters
    if operation.body:
        content = {"application/json": {"schema": schemas.of(operation.body, "validation")}}
        rendered["requestBody"] = {"required": not operation.body_optional, "content": content}
    responses = {str(status): _response(spec, schemas) for status, spec in operation.responses.items()}
    rendered["responses"] = responses | _problems(route, schemas)
    return rendered


def _response(spec: ResponseSpec, schemas: _Schemas) -> _Json:
    rendered: _Json = {"description": spec.description, "headers": _headers(spec.headers)}
    if spec.type is not None:
        rendered["content"] = {spec.media_type: {"schema": schemas.of(spec.type, "serialization")}}
    return rendered


def _problems(route: ApiRoute, schemas: _Schemas) -> _Json:
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
    """Returns the headers; one that only some of these responses have is not required."""
    names = dict.fromkeys(["X-Request-Id", *(name for headers in given for name in headers)])
    return {
        name: {
            "description": _HEADERS.get(name) or given[0][name],
            "required": name == "X-Request-Id" or all(name in headers for headers in given),
            "schema": {"type": "integer", "minimum": 1} if name == "Retry-After" else {"type": "string"},
        }
        for name in names
    }
