"""Each answer that a test gets from the service is checked against the service's own contract."""

import re
from functools import cache
from http import HTTPStatus
from typing import Any

import httpx
import requests
import schemathesis

from prebooking.web.app import ROUTES
from prebooking.web.openapi.document import document

_PYDANTICS_WORDS = re.compile(r"\b(Input|String|Value|List|Field) should\b|after validation|\{\w+\}")  # not a person's


class Contract:
    """Status, media type, headers and body as /openapi.json promises them, for each path and method that is in it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._paths = document["paths"]
        self._patterns = {path: re.compile(re.sub(r"\{\w+\}", "[^/]+", path)) for path in self._paths}
        self._schema = schemathesis.openapi.from_dict(document)

    async def hold(self, answer: httpx.Response) -> None:
        asked = answer.request.url.path
        for path, pattern in self._patterns.items():
            method = answer.request.method
            if asked in self._paths and path != asked:
                continue  # /prebookings/events is no prebooking
            if pattern.fullmatch(answer.request.url.path) and method.lower() in self._paths[path]:
                await answer.aread()
                promised = self._paths[path][method.lower()]["responses"]
                assert str(answer.status_code) in promised, f"{method} {path} promises no {answer.status_code}"
                self._schema[path][method].validate_response(_as_schemathesis_has_it(answer))
                if answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
                    assert not _PYDANTICS_WORDS.search(answer.json()["detail"]), answer.json()["detail"]


def _as_schemathesis_has_it(answer: httpx.Response) -> schemathesis.Response:
    """Its own way reads the request's body too, which is gone when it was sent in pieces."""
    return schemathesis.Response(
        status_code=answer.status_code,
        headers={name: answer.headers.get_list(name) for name in answer.headers},
        content=answer.content,
        request=requests.Request(answer.request.method, str(answer.request.url)).prepare(),
        elapsed=answer.elapsed.total_seconds(),
        verify=True,
    )


@cache
def openapi_contract() -> Contract:
    return Contract(document(ROUTES))
