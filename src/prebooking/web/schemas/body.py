"""The base of request bodies, which finds fields that are spelled in another way."""

from typing import Any

from pydantic import BaseModel, model_validator


class RequestBody(BaseModel):
    """An object of a request. Unknown fields are ignored, but not another spelling of a known one.

    `family_id` for `familyId` would book for another person.
    """

    @model_validator(mode="before")
    @classmethod
    def _spelled_as_documented(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        names = {field.alias or name for name, field in cls.model_fields.items()}
        if unknown := [name for name in given if name not in names]:
            missing = {_letters(name): name for name in names - given.keys()}
            for name in unknown:
                if meant := missing.get(_letters(name)):
                    raise ValueError(f"{name} is not a field: write {meant}")
        return given


def _letters(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
