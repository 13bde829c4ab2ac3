"""The part of the store with the users' series."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from pydantic import TypeAdapter, ValidationError

from prebooking.adapters.supabase.rpc import SupabaseRpc
from prebooking.domain.days import written
from prebooking.domain.series import Series, SeriesAnswer, WeeklyClass
from prebooking.domain.series_days import SeriesDay

_log = structlog.get_logger()

_ANSWER = TypeAdapter(SeriesAnswer)
_ONE = TypeAdapter(Series)
_WEEKLY = TypeAdapter(WeeklyClass)


class SupabaseSeries:
    """See prebooking.domain.ports.SeriesStore."""

    _rpc: SupabaseRpc

    async def create_series(self, series_id: UUID, user_email: str, weekly: WeeklyClass, *, most: int) -> SeriesAnswer:
        return await self._series(
            "create_series", id=series_id, user_email=user_email, weekly=_as_json(weekly), most=most
        )

    async def list_series(self, user_email: str, *, series_id: UUID | None = None) -> Sequence[Series]:
        answer = await self._rpc.call("list_series", user_email=user_email, id=series_id)
        return _readable(answer["series"])

    async def change_series(
        self,
        read: Series,
        *,
        weekly: WeeklyClass,
        paused: bool,
        skip: Sequence[str],
        cancel: Sequence[UUID],
        max_active: int,
    ) -> SeriesAnswer:
        return await self._series(
            "change_series",
            id=read.id,
            user_email=read.user_email,
            revision=read.revision,
            weekly=_as_json(weekly),
            paused=paused,
            skip=list(skip),
            cancel=[str(prebooking_id) for prebooking_id in cancel],
            max_active=max_active,
        )

    async def end_series(self, series_id: UUID, user_email: str, *, keep: bool) -> SeriesAnswer:
        return await self._series("end_series", id=series_id, user_email=user_email, keep=keep)

    async def fill_series(
        self, read: Series, days: Mapping[UUID, SeriesDay], *, max_active: int, look_at: datetime | None
    ) -> SeriesAnswer:
        to_make = [
            {
                "id": str(prebooking_id),
                "day": written(one.day),
                "opens_at": one.opens_at.isoformat(),
                "starts_at": one.starts_at.isoformat(),
            }
            for prebooking_id, one in days.items()
        ]
        return await self._series(
            "fill_series", id=read.id, revision=read.revision, days=to_make, max_active=max_active, look_at=look_at
        )

    async def take_series(self) -> Sequence[Series]:
        return _readable((await self._rpc.call("take_series"))["series"])

    async def _series(self, function: str, **arguments: Any) -> SeriesAnswer:
        return _ANSWER.validate_python(await self._rpc.call(function, **arguments))


def _readable(stored: Sequence[Mapping[str, Any]]) -> list[Series]:
    """Returns those that can be parsed: one that can't must not keep the others from their users and the sweep."""
    found = []
    for one in stored:
        try:
            found.append(_ONE.validate_python(one))
        except ValidationError as exc:
            fields = [".".join(map(str, error["loc"])) for error in exc.errors()]
            _log.error("series_unreadable", series_id=one["id"], fields=fields)  # a trace has values
    return found


def _as_json(weekly: WeeklyClass) -> dict[str, Any]:
    """Returns the JSON without fields that are not set, so that a field added later does not change earlier series."""
    found: dict[str, Any] = _WEEKLY.dump_python(weekly, mode="json", exclude_none=True)
    return found
