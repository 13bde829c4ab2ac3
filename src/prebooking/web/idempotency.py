"""Idempotency-Key: a POST that is repeated because its response was lost has no second effect (IETF draft)."""

import re
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID, uuid4, uuid5

from pydantic import AfterValidator, BaseModel, Field, ValidationError, WithJsonSchema
from starlette.requests import Request

from prebooking.web.problems import invalid_from

_VISIBLE = r"^[!-~]{1,255}$"
_HEADER = "Idempotency-Key"
_KEYS = UUID("7a4b1f0e-3c5d-4e0a-9b1c-6d2f8e7a9c31")


def _visible(value: str) -> str:
    if not re.fullmatch(_VISIBLE, value):
        raise ValueError("must be 1 to 255 visible ASCII characters, such as a UUID")
    return value


class Idempotency(BaseModel):
    key: Annotated[
        Annotated[str, AfterValidator(_visible), WithJsonSchema({"type": "string", "pattern": _VISIBLE})] | None,
        Field(
            alias=_HEADER,
            description="A unique value that the client generates, such as a UUID. A request that is repeated"
            " with the same key is executed once.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class IdempotentIds:
    """`id`: of the prebooking that the request creates. `key`: of the request, unique per user; None: it has no key.

    A repeated request has the same ones.
    """

    id: UUID
    key: UUID | None


def ids_for(request: Request, user_email: str) -> IdempotentIds:
    """Returns ids derived from user, path and key; without a key, a random id. Raises Problem."""
    try:
        key = Idempotency.model_validate({_HEADER: request.headers.get(_HEADER)}).key
    except ValidationError as exc:
        raise invalid_from(exc) from exc
    if key is None:
        return IdempotentIds(uuid4(), None)
    path = request.url.path
    return IdempotentIds(uuid5(_KEYS, f"{user_email} {path} {key}"), uuid5(_KEYS, f"{path} {key}"))
