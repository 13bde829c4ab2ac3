"""The fields of requests. An error says how to correct the value."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from prebooking.domain.cookies import Domain
from prebooking.domain.days import read_day
from prebooking.domain.prebooking import box_label

_FIRST_YEAR, _LAST_YEAR = 2000, 2100
_ID = r"[A-Za-z0-9_.:-]"
_LARGEST_ID = 2**63 - 1
_LARGEST_BOX = 10**18 - 1
# Every valid day from 2000 to 2100, for clients that validate before they send.
_DAY = (
    r"^((20[0-9]{2}|2100)((0[13578]|1[02])(0[1-9]|[12][0-9]|3[01])|(0[469]|11)(0[1-9]|[12][0-9]|30)"
    r"|02(0[1-9]|1[0-9]|2[0-8]))|20([02468][048]|[13579][26])0229)$"
)


def _day(value: str) -> str:
    try:
        year = 0 if not re.fullmatch(r"[0-9]{8}", value) else read_day(value).year
    except ValueError:
        year = 0
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise ValueError("is not a day: write it as YYYYMMDD, such as 20301128")
    return value


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain the character U+0000, which the database can't store")
    return value


def _number_or_text(value: Any) -> Any:
    # In JSON Schema 5.0 is an integer, too.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_ID:
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"must be a string, or a whole number from 0 to {_LARGEST_ID}")  # noqa: TRY004  # as below
    return value


def _box_number(value: str) -> str:
    if not re.fullmatch(r"[0-9]{1,18}", value):
        raise ValueError("must be the gym's number, which AimHarder's own page calls boid or box")
    return value


_NUMBER = {"type": "integer", "minimum": 0, "maximum": _LARGEST_ID}
Id = Annotated[
    str,
    BeforeValidator(_number_or_text),
    StringConstraints(min_length=1, max_length=64, pattern=rf"^{_ID}+$"),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": rf"^{_ID}{{1,64}}$"}, _NUMBER]}),
]
BoxNumber = Annotated[
    str,
    BeforeValidator(_number_or_text),
    AfterValidator(_box_number),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^[0-9]{1,18}$"},
                {"type": "integer", "minimum": 0, "maximum": _LARGEST_BOX},
            ]
        }
    ),
]
FamilyId = Annotated[
    Id | None,
    BeforeValidator(lambda v: None if v == "" else v),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": rf"^{_ID}{{0,64}}$"}, _NUMBER, {"type": "null"}]}),
]
Text = Annotated[
    str,
    StringConstraints(max_length=200),
    AfterValidator(_no_nul),
    WithJsonSchema({"type": "string", "maxLength": 200, "pattern": r"^[^\u0000]*$"}),
]
BoxLabel = Annotated[
    str,
    StringConstraints(to_lower=True),
    AfterValidator(box_label),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"}),
]


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):  # Python takes it for 0 or 1
        raise ValueError("must be 0 or 1")  # noqa: TRY004  # pydantic's way to refuse
    return value


Insist = Annotated[
    Literal[0, 1],
    BeforeValidator(_no_boolean),
    Field(description="1: join the waiting list when the class is full."),
]


def _true_or_false(value: Any) -> Any:
    if value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value == "true"


#: Of a query.
TrueOrFalse = Annotated[bool, BeforeValidator(_true_or_false), WithJsonSchema({"type": "boolean"})]


def _box_domain(value: Any) -> Any:
    if value not in tuple(Domain):
        raise ValueError("must be aimharder.com or aimharder.es")
    return value


BoxDomain = Annotated[Domain, BeforeValidator(_box_domain)]
Day = Annotated[
    str,
    AfterValidator(_day),
    WithJsonSchema({"type": "string", "pattern": _DAY}),
    Field(description="The day of the class as YYYYMMDD, in the gym's time zone."),
]
