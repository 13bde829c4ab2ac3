"""Prebookings as JSON."""

from typing import Any

from pydantic import TypeAdapter

from prebooking.domain.prebooking import Prebooking

_ROW = TypeAdapter(Prebooking)


def as_json(row: Prebooking) -> dict[str, Any]:
    """Returns the row as clients see it. AimHarder's ids are strings, also where a row of the web application's has
    numbers.
    """
    shown: dict[str, Any] = _ROW.dump_python(row, mode="json", by_alias=True, exclude={"box_domain"})
    data = shown["booking_data"]
    shown["booking_data"] = data | {n: str(data[n]) for n in ("id", "familyId") if isinstance(data.get(n), int)}
    return shown
