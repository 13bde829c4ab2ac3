"""Request schemas of QStash's deliveries."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

_LARGEST_VERSION = 2**31 - 1  # the column is an integer


def _integral(value: Any) -> Any:
    """Accepts 1.0, which is an integer in JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class ExecutePayload(BaseModel):
    """The message that executes a prebooking. Unknown fields are refused: a later version may give them a meaning."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prebooking_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    version: Annotated[int, Field(ge=1, le=_LARGEST_VERSION), BeforeValidator(_integral)]


class DeliveryFailure(BaseModel):
    """QStash's failure callback for a message that executes a prebooking. The bodies are in Base64."""

    sourceBody: str  # noqa: N815  # QStash's word
    status: Annotated[Any, WithJsonSchema({"type": "integer"})] = None
    body: Annotated[Any, WithJsonSchema({"type": ["string", "null"]})] = None


class Ping(BaseModel):
    """The test message of `prebooking doctor`."""

    ping: Annotated[str, Field(json_schema_extra={"format": "uuid"})]


class NoticeFailure(BaseModel):
    """QStash's failure callback for a notification."""

    sourceMessageId: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=200)]  # noqa: N815  # QStash's word
    status: Any = None
    body: Any = None
