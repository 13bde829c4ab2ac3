"""`/rest/v1/rpc/{function}`: PostgREST's protocol for calling functions."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from prebooking_local.supabase.call import Call, Result, perform
from prebooking_local.supabase.catalog import Function
from prebooking_local.supabase.database import Database
from prebooking_local.supabase.errors import JSON_TYPE, RestError
from prebooking_local.supabase.faults import Faults
from prebooking_local.supabase.keys import Caller, Keyring

SINGLE_TYPE = "application/vnd.pgrst.object+json"
ANY_JSON = {"*/*", "application/*", "application/json"}


class Rpc:
    def __init__(self, database: Database, keys: Keyring, faults: Faults) -> None:
        self._database = database
        self._keys = keys
        self._faults = faults

    async def answer(self, request: Request) -> Response:
        body = await request.body()  # before any fault, as a server has read what it then fails to answer
        name = request.path_params["function"]
        return await self._faults.befall(name, lambda: self._answer(request, name, body))

    async def _answer(self, request: Request, name: str, body: bytes) -> Response:
        caller = self._keys.caller(request.headers)
        call = await self._call(request, caller, name, body)
        result = await perform(self._database, call)
        return _response(call, result)

    async def _call(self, request: Request, caller: Caller, name: str, body: bytes) -> Call:
        reading = request.method in ("GET", "HEAD")
        if request.method not in ("GET", "HEAD", "POST"):
            raise RestError(405, "PGRST101", f"Cannot use the {request.method} method on RPC")
        _check_schema(request.headers.get("accept-profile" if reading else "content-profile", "public"))
        single = _wants_single(request.headers.get("accept", "*/*"))
        if not reading and request.query_params:
            raise RestError(501, "NOT_IMPLEMENTED", "this stand-in filters no results: query parameters on a POST")
        arguments = json.dumps(dict(request.query_params)) if reading else _json_text(body)
        names = _names(arguments)
        function = await self._find(name, names)
        return Call(
            function=function,
            names=names,
            arguments=arguments,
            settings=self._settings(request, caller, function),
            reads_only=reading or function.reads_only,
            role=caller.role,
            single=single,
            counts="count=exact" in request.headers.get("prefer", ""),
        )

    async def _find(self, name: str, names: list[str]) -> Function:
        try:
            return self._database.catalog.find(name, names)
        except RestError as exc:
            if exc.body["code"] != "PGRST202":
                raise
        # Hosted projects reload at every change of the schema; for us, a miss is early enough.
        await self._database.reload()
        return self._database.catalog.find(name, names)

    def _settings(self, request: Request, caller: Caller, function: Function) -> dict[str, str]:
        """Returns what the function's transaction knows about the request; its own timeout must be set beforehand."""
        settings = {
            "search_path": '"public", "extensions"',
            "role": caller.role,
            "request.jwt.claims": caller.claims,
            "request.method": request.method,
            "request.path": f"/rpc/{function.name}",
            "request.headers": json.dumps(dict(request.headers), separators=(",", ":")),
            "request.cookies": json.dumps(request.cookies, separators=(",", ":")),
            **self._database.catalog.role_settings.get(caller.role, {}),
        }
        if function.statement_timeout is not None:
            settings["statement_timeout"] = function.statement_timeout
        return settings


def _check_schema(schema: str) -> None:
    if schema != "public":
        raise RestError(406, "PGRST106", "The schema must be one of the following: public")


def _wants_single(accept: str) -> bool:
    offered = {part.partition(";")[0].strip() for part in accept.split(",")}
    if SINGLE_TYPE in offered:
        return True
    if not offered & ANY_JSON:
        raise RestError(415, "PGRST107", f"None of these media types are available: {accept}")
    return False


def _json_text(body: bytes) -> str:
    try:
        text = body.decode() or "{}"
        json.loads(text)
    except ValueError as exc:
        raise RestError(400, "PGRST102", "Empty or invalid json") from exc
    return text


def _names(arguments: str) -> list[str]:
    given: Any = json.loads(arguments)
    if not isinstance(given, dict):
        raise RestError(400, "PGRST102", "All object keys must match")
    return list(given)


def _response(call: Call, result: Result) -> Response:
    headers = _result_headers(call, result)
    if call.function.returns_void:
        response = Response(None, 204 if result.status == 200 else result.status, headers)
    else:
        kind = f"{SINGLE_TYPE}; charset=utf-8" if call.single else JSON_TYPE
        partial = result.total is not None and result.rows < result.total
        status = 206 if partial and result.status == 200 else result.status
        response = Response(result.body, status, {**headers, "content-type": kind})
    for name, value in result.headers:
        response.headers[name] = value
    return response


def _result_headers(call: Call, result: Result) -> Mapping[str, str]:
    span = f"0-{result.rows - 1}" if result.rows else "*"
    total = "*" if result.total is None else str(result.total)
    applied = {"preference-applied": "count=exact"} if call.counts else {}
    return {"content-range": f"{span}/{total}", **applied}
