"""The bodies of what QStash delivers."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

_LARGEST_VERSION = 2**31 - 1  # as the column has it


def _integral(value: Any) -> Any:
    """1.0 is an integer, too, as JSON Schema sees it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class ExecutePayload(BaseModel):
    """The body of a message. What it doesn't know it refuses: a later version may mean something else by it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prebooking_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    version: Annotated[int, Field(ge=1, le=_LARGEST_VERSION), BeforeValidator(_integral)]


class DeliveryFailure(BaseModel):
    """What QStash tells of a message that it has given up on; the bodies are in Base64."""

    sourceBody: str  # noqa: N815  # QStash's word
    status: Annotated[Any, WithJsonSchema({"type": "integer"})] = None
    body: Annotated[Any, WithJsonSchema({"type": ["string", "null"]})] = None


class Ping(BaseModel):
    """The body of a doctor's message."""

    ping: Annotated[str, Field(json_schema_extra={"format": "uuid"})]


class NoticeFailure(BaseModel):
    """What QStash tells of a notice that it could not deliver."""

    sourceMessageId: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=200)]  # noqa: N815  # QStash's word
    status: Any = None
    body: Any = None
