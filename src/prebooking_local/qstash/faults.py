"""Switches that make this server misbehave as the real one may, or as an attacker would."""

from random import Random
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, PrivateAttr, model_validator

T = TypeVar("T")


class Fault(BaseModel, Generic[T]):
    """A value for the next n occasions, for some of them by chance, or for all until cleared."""

    model_config = ConfigDict(extra="forbid")

    value: T
    next: int | None = Field(default=None, ge=0)
    probability: float = Field(default=1.0, ge=0, le=1)
    seed: int = 0
    _dice: Random = PrivateAttr()

    @model_validator(mode="before")
    @classmethod
    def _accept_a_bare_value(cls, data: Any) -> Any:
        return data if isinstance(data, dict | Fault) else {"value": data}

    def model_post_init(self, _: Any) -> None:
        self._dice = Random(self.seed)

    def draw(self) -> T | None:
        """Returns the value if the fault strikes on this occasion."""
        if self.next == 0 or (self.probability < 1 and self._dice.random() >= self.probability):
            return None
        if self.next is not None:
            self.next -= 1
        return self.value


class ApiFault(Fault[T], Generic[T]):
    """A fault of the API; on publishes unless said otherwise."""

    on: Literal["publish", "cancel", "any"] = "publish"


def drawn(fault: Fault[T] | None) -> T | None:
    return None if fault is None else fault.draw()


class Faults(BaseModel):
    model_config = ConfigDict(extra="forbid")

    # of the API
    api_status: ApiFault[int] | None = None  # answered instead of doing anything
    other_region: ApiFault[bool] | None = None  # 404 to everything, as a token of another region gets it
    api_limit: ApiFault[Literal["daily", "burst"]] | None = None  # 429 with that family of headers
    api_refused: ApiFault[bool] | None = None  # the connection is closed before anything is done
    api_hangs: ApiFault[bool] | None = None  # no answer, nothing done
    api_answer_lost: ApiFault[bool] | None = None  # done, then the connection is closed

    # of a message, drawn when it is accepted
    shift_s: Fault[float] | None = None  # delivered so much late, or early if negative
    ahead: Fault[bool] | None = None  # leaves before those of the same instant accepted earlier

    # of a delivery
    copies: Fault[PositiveInt] | None = None  # so many at once, of the same attempt
    lost: Fault[bool] | None = None  # never sent, never retried
    rotate_keys: Fault[bool] | None = None  # just before it is signed
    signing_key: Fault[str] | None = None  # signed with this key
    signed_url: Fault[str] | None = None  # signed for this destination
    signed_body: Fault[str] | None = None  # signed for this body
    iat_skew_s: Fault[float] | None = None  # signed by a clock that is off by so much

    # states, which hold until cleared
    down: Fault[bool] | None = None  # nothing is delivered
    parallelism: Fault[PositiveInt] | None = None  # at most so many deliveries at once

    def change(self, patch: dict[str, Any]) -> None:
        """Sets the switches given, clears those given as null; all or, if one is wrong, none."""
        wanted = Faults.model_validate(patch)
        for name in wanted.model_fields_set:
            setattr(self, name, getattr(wanted, name))

    def clear(self) -> None:
        self.change(dict.fromkeys(Faults.model_fields))
