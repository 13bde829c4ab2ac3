"""/openapi.json: valid, complete, and true of the routes that there are."""

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route
from tests.support.signing import EXECUTE, body_of, deliver
from tests.support.world import World

from prebooking.web.app import create_app

ANA = "ana@example.com"
CODES = {
    "malformed",
    *("malformed-json", "unauthorized", "not-found", "request-timeout", "too-large", "unsupported-media-type"),
    *("prebooking-exists", "booking-in-progress", "already-finished", "not-failed", "invalid-request", "too-many"),
    *("not-booked", "late-cancellation", "refused-by-gym"),
    *("internal-error", "database-unavailable", "identity-unavailable", "stopping", "gym-unreachable"),
    *("email-taken", "idempotency-key-reused", "wrong-credentials"),
    *("held", "not-due", "retry-later", "session-missing", "session-expired"),
}


async def contract(world: World) -> dict[str, Any]:
    answer = await world.http.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=300"
    document: dict[str, Any] = answer.json()
    return document


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, told) for path, item in document["paths"].items() for method, told in item.items()]


async def test_it_is_openapi_3_1(world: World) -> None:
    document = await contract(world)
    assert document["openapi"].startswith("3.1.")
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


async def test_it_has_each_route_and_no_other(world: World) -> None:
    app = create_app(lambda: pytest.fail("not started"), [])
    assert all(isinstance(route, Route) for route in app.routes)
    served = {(r.path, m) for r in app.routes if isinstance(r, Route) for m in (r.methods or ()) if m != "HEAD"}
    told = {(path, method.upper()) for path, method, _ in operations(await contract(world))}
    assert told == served


async def test_each_function_of_a_generated_client_has_a_name_of_its_own(world: World) -> None:
    names = [told["operationId"] for _, _, told in operations(await contract(world))]
    assert len(set(names)) == len(names)
    assert {"createPrebooking", "listPrebookings", "getPrebooking", "cancelPrebooking", "connectSession"} <= set(names)


async def test_each_problem_has_an_example(world: World) -> None:
    examples = [
        example["value"] | {"_status": status}
        for _, _, told in operations(await contract(world))
        for status, answer in told["responses"].items()
        for example in answer.get("content", {}).get("application/problem+json", {}).get("examples", {}).values()
    ]
    assert {example["code"] for example in examples} == CODES
    assert all(str(example["status"]) == example["_status"] and example["detail"] for example in examples)


async def test_only_what_the_design_names_is_open(world: World) -> None:
    open_to_all = {path for path, _, told in operations(await contract(world)) if not told["security"]}
    assert open_to_all == {"/healthz", "/readyz", "/openapi.json", "/calendar/{secret}.ics"}
    for path, method, told in operations(await contract(world)):
        answer = await world.http.request(method, path.replace("{id}", "x"))
        assert (answer.status_code == 401) == bool(told["security"]), (method, path)


async def test_the_examples_of_bodies_work(sweepless: World) -> None:
    schemas = (await contract(sweepless))["components"]["schemas"]
    headers = sweepless.speaking_for(ANA)
    for wish in schemas["NewPrebooking"]["examples"]:
        created = await sweepless.http.post("/prebookings", headers=headers, json=wish)
        assert created.status_code == 201
    row = f"/prebookings/{created.json()['id']}"
    [opening] = schemas["NewOpening"]["examples"]
    assert (await sweepless.http.patch(row, headers=headers, json=opening)).status_code == 200
    for again in schemas["Retry"]["examples"]:
        await sweepless.database.execute("update public.prebookings set status = 'failed', error_code = 'class_full'")
        assert (await sweepless.http.post(f"{row}/retry", headers=headers, json=again)).status_code == 200


async def test_a_method_that_a_path_has_not_is_told_all_that_it_has(world: World) -> None:
    for path, allowed in (("/prebookings", "GET, HEAD, POST"), ("/prebookings/x", "DELETE, GET, HEAD, PATCH")):
        answer = await world.http.put(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_a_slash_too_many_is_not_redirected_to_whatever_host_was_named(world: World) -> None:
    answer = await world.http.get("/prebookings/", headers={"Host": "evil.example.com"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_a_delivery_is_answered_as_the_contract_says(world: World) -> None:
    answer = await deliver(world, EXECUTE, body_of("00000000-0000-4000-8000-000000000000"))
    assert answer.json() == {
        "outcome": "unknown_prebooking",
        "prebooking_id": "00000000-0000-4000-8000-000000000000",
    }
