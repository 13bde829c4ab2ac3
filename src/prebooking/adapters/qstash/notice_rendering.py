"""Renders notices. Text of a gym or of a user's page is made harmless: no mentions, no links."""

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from prebooking.adapters.qstash.notice_texts import WORDS, NoticeTexts
from prebooking.domain.days import read_day
from prebooking.domain.notices import Language, Notice, NoticeKind, UnmadeDays
from prebooking.domain.outcome import SENTENCES, Outcome, detail_in
from prebooking.domain.plain_text import for_chat
from prebooking.domain.prebooking import Prebooking

_WITH_NEXT = (NoticeKind.FAILED, NoticeKind.NOT_MADE)


def title_and_text(notice: Notice, language: Language, zone: ZoneInfo) -> tuple[str, str]:
    """Returns title and text. `zone`: the time zone of the times."""
    words, row = WORDS[language], notice.prebooking
    filled = _of_series(notice.series, words) if notice.series else {}
    sentences = []
    if row is not None:
        filled = _of_prebooking(row, words, zone) | {"reason": for_chat(_reason(row, words))}
        sentences = [_milliseconds(row, words)]
    # `format` is applied only to our own templates, once, never to users' text.
    warning = (row.warning if row else None) or {}
    refused = notice.kind is NoticeKind.SESSION_DEAD and warning.get("reason") == "password_refused"
    template = words.wrong_sign_in if refused else words.texts[notice.kind]
    title, text = words.titles[notice.kind].format(**filled), template.format(**filled)
    if notice.next is not None and notice.kind in _WITH_NEXT:
        sentences.append(words.next.format(**_of_prebooking(notice.next, words, zone)))
    return title, " ".join(part for part in (text.rstrip(), *sentences) if part)


def _of_prebooking(row: Prebooking, words: NoticeTexts, zone: ZoneInfo) -> dict[str, str]:
    name = _plain(row.booking_data.get("activityName")) or _plain(row.class_ and row.class_.name) or words.a_class
    box = _plain(row.booking_data.get("boxName")) or _plain(row.box_subdomain)
    what = f"{name}, {_when(row, words, zone)}"
    return {
        "what": what,
        "where": what + (words.at_box.format(box=box) if box else ""),
        "opening": _format_moment(row.available_at.astimezone(zone), words),
    }


def _of_series(series: UnmadeDays, words: NoticeTexts) -> dict[str, str]:
    what = f"{_plain(series.weekly.name) or words.a_class}, {_plain(series.weekly.starts)}"
    days = [datetime.combine(read_day(day), time()) for day in sorted(series.reasons)]
    where = what + words.at_box.format(box=_plain(series.weekly.box_subdomain))
    return {"what": what, "where": where, "days": ", ".join(_format_moment(day, words, hour=False) for day in days)}


def _plain(value: Any) -> str:
    """Returns the text of the user's page in one harmless line."""
    return for_chat(" ".join(value.split())[:80]) if isinstance(value, str) else ""


def _when(row: Prebooking, words: NoticeTexts, zone: ZoneInfo) -> str:
    """Returns the class's start if it is known, else its day."""
    start, day = row.booking_data.get("classTimeUTC"), _plain(row.booking_data.get("day"))
    try:
        if start:
            return _format_moment(datetime.fromisoformat(str(start)).astimezone(zone), words)
        told = row.class_.starts if row.class_ else ""  # on the gym's wall clock
        moment = datetime.strptime(day + told, "%Y%m%d%H:%M" if told else "%Y%m%d").replace(tzinfo=zone)
        return _format_moment(moment, words, hour=bool(told))
    except (ValueError, OverflowError):
        return day


def _format_moment(moment: datetime, words: NoticeTexts, *, hour: bool = True) -> str:
    day, month = words.days.split()[moment.weekday()], words.months.split()[moment.month - 1]
    return f"{day} {moment.day} {month}" + (f" {moment:%H:%M}" if hour else "")


def _reason(row: Prebooking, words: NoticeTexts) -> str:
    """Returns the reason in the reader's language, with the gym's own message if there is one."""
    try:
        outcome = Outcome(str((row.result or {}).get("outcome")))
    except ValueError:
        return row.error_message or ""
    if words.reasons is SENTENCES:
        return row.error_message or SENTENCES[outcome]
    said = row.error_message or ""
    gyms_own = detail_in(said, outcome)
    return words.reasons.get(outcome, said) + (f" ({gyms_own})" if gyms_own else "")


def _milliseconds(row: Prebooking, words: NoticeTexts) -> str:
    timings = (row.result or {}).get("timings") or {}
    late, response = timings.get("fire_lateness_ms"), timings.get("response_ms")
    if late is None:
        return ""
    line = words.lateness.format(ms=_ms(late))
    if response is not None:
        line += f"; {words.response.format(ms=_ms(response))}"
    return f"{line}."


def _ms(value: float) -> str:
    """Rounds to milliseconds, and below ten to tenths: a lateness of 0 would look like none."""
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004
