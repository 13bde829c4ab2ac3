"""Cron expressions of five fields, in the time zone that `CRON_TZ=` names."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from prebooking_local.qstash.refusal import RefusedError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ZONE_PREFIX = "CRON_TZ="
_HORIZON = timedelta(days=5 * 366)  # 29 February comes round within it


@dataclass(frozen=True)
class Cron:
    zone: ZoneInfo
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool  # day of month and of week are both restricted: one of them is enough

    def next_after(self, instant: float) -> float:
        """Returns the first full minute after the instant, in Unix seconds, that the expression names."""
        # Steps through real time, so that an hour a clock change repeats or skips needs no special case.
        moment = datetime.fromtimestamp(instant // 60 * 60 + 60, UTC)
        end = moment + _HORIZON
        while moment < end:
            local = moment.astimezone(self.zone)
            if not self._has_day(local) or local.hour not in self.hours:
                moment += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minutes:
                moment += timedelta(minutes=1)
            else:
                return moment.timestamp()
        raise RefusedError(400, "invalid cron: it never comes round")

    def _has_day(self, local: datetime) -> bool:
        by_date = local.day in self.days
        by_weekday = local.isoweekday() % 7 in self.weekdays
        day = by_date or by_weekday if self.either_day else by_date and by_weekday
        return day and local.month in self.months


def parse_cron(text: str) -> Cron:
    zone = "UTC"
    if text.startswith(_ZONE_PREFIX):
        zone, _, text = text.removeprefix(_ZONE_PREFIX).partition(" ")
    try:
        minute, hour, day, month, weekday = text.split()
        return Cron(
            zone=ZoneInfo(zone),
            minutes=_field(minute, 0, 59),
            hours=_field(hour, 0, 23),
            days=_field(day, 1, 31),
            months=_field(month.lower(), 1, 12, _MONTHS),
            weekdays=frozenset(number % 7 for number in _field(weekday.lower(), 0, 7, _DAYS)),
            either_day=day[0] not in "*?" and weekday[0] not in "*?",
        )
    except (ValueError, ZoneInfoNotFoundError) as exc:
        raise RefusedError(400, f"invalid cron {text!r}: {exc}") from exc


def _field(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span in {"*", "?"}:
            start, end = low, high
        else:
            start = _number(first, low, names)
            end = _number(last, low, names) if dash else (high if slash else start)
        if not low <= start <= end <= high or (slash and int(step) < 1):
            raise ValueError(f"{part!r} is not within {low}-{high}")
        numbers.update(range(start, end + 1, int(step) if slash else 1))
    return frozenset(numbers)


def _number(text: str, low: int, names: tuple[str, ...]) -> int:
    return names.index(text) + low if text in names else int(text)
