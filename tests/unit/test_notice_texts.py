"""What a gym or a user's page wrote mentions nobody in a chat, is no link there, and hides nothing."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from prebooking.adapters.qstash.notice_webhook import NoticeWebhook
from prebooking.domain.notices import Language, Notice, NoticeKind, UnmadeDays
from prebooking.domain.prebooking import Prebooking, Status
from prebooking.domain.series import WeeklyClass
from prebooking.domain.wished_class import WishedClass

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
EVIL = "<!channel> @everyone [your gym](https://evil.example) \x1b[31m \u202e"


SERIES = UUID(int=7)


def weekly(words: str) -> UnmadeDays:
    wanted = WeeklyClass(
        box_subdomain=words,
        box_aimharder_id="7",
        weekdays=(2,),
        starts="07:00",
        name=words,
        days_before=4,
        time_zone="UTC",
    )
    reasons = {"20261201": "too-many", "20261208": "too-many"}
    return UnmadeDays(id=SERIES, user_email="ana@example.com", weekly=wanted, reasons=reasons)


def told_of_series(language: Language, words: str = "WOD", following: Prebooking | None = None) -> dict[str, Any]:
    return sent(
        Notice(id=uuid4(), kind=NoticeKind.NOT_MADE, series=weekly(words), next=following, created_at=NOW, failures=0),
        language,
    )


def sent(notice: Notice, language: Language) -> dict[str, Any]:
    webhook = NoticeWebhook(None, "https://x.example", "whsec_" + "MDEy" * 8, language, ZoneInfo("Europe/Madrid"))  # type: ignore[arg-type]
    told: dict[str, Any] = json.loads(webhook._body(notice))
    return told


def body(kind: NoticeKind, language: Language, words: str, booking_data: Mapping[str, Any]) -> dict[str, Any]:
    row = row_of(words, booking_data)
    if kind is NoticeKind.NOT_MADE:
        return told_of_series(language, words, row)
    return sent(Notice(id=uuid4(), kind=kind, prebooking=row, next=row, created_at=NOW, failures=0), language)


def row_of(words: str, booking_data: Mapping[str, Any], **more: Any) -> Prebooking:
    row = Prebooking(
        id=uuid4(),
        user_email="ana@example.com",
        status=Status.FAILED,
        version=1,
        attempts=1,
        available_at=NOW,
        box_subdomain=words,
        box_aimharder_id="7",
        booking_data=booking_data,
        created_at=NOW,
        updated_at=NOW,
        result={"success": False, "outcome": "refused", "message": words},
        error_code="refused",
        error_message=f"The gym refused. ({words})",
    )
    return replace(row, **more)


@pytest.mark.parametrize("language", ["en", "es", "ca"])
@pytest.mark.parametrize("kind", NoticeKind)
def test_nobody_is_mentioned_and_nothing_is_a_link(kind: NoticeKind, language: Language) -> None:
    data = {"activityName": EVIL, "boxName": EVIL, "day": EVIL, "id": EVIL, EVIL: [EVIL]}
    told = body(kind, language, EVIL, data)
    told["data"].pop("user_email")
    written = json.dumps(told, ensure_ascii=False)
    assert "everyone" in told["title"]
    assert "evil.example" in told["text"]
    for sign in ("<", ">", "@", "](", "://", "\x1b", "\u202e", "\\u001b"):
        assert sign not in written


def test_an_ordinary_name_is_told_as_it_was_written() -> None:
    data = {"activityName": "WOD & Núria's [Team] #1", "boxName": "Box Gràcia", "day": "20261124", "id": "5"}
    told = body(NoticeKind.BOOKED, "en", "mygym", data)
    assert told["title"] == "Booked: WOD & Núria's [Team] #1, Tue 24 Nov"
    assert told["data"]["booking_data"] == data


NEXT = row_of("mygym", {"day": "20261201"}, class_=WishedClass(starts="07:00", name="WOD"), series_id=SERIES)


def test_a_failure_of_a_series_says_what_comes_next() -> None:
    row = row_of("mygym", {"day": "20261124"}, class_=WishedClass(starts="07:00", name="WOD"), series_id=SERIES)
    notice = Notice(id=uuid4(), kind=NoticeKind.FAILED, prebooking=row, next=NEXT, created_at=NOW, failures=0)
    told = sent(notice, "en")
    assert told["text"].endswith(" Next: WOD, Tue 1 Dec 07:00, which opens Tue 24 Nov 09:00.")
    assert told["data"]["series_id"] == str(SERIES)
    assert told["data"]["next"] == {
        "prebooking_id": str(NEXT.id),
        "day": "20261201",
        "available_at": "2026-11-24T08:00:00Z",
    }
    booked = replace(notice, kind=NoticeKind.BOOKED)
    assert "Next" not in sent(booked, "en")["text"]


@pytest.mark.parametrize(
    ("language", "title", "days"),
    [
        ("en", "No room: WOD, 07:00", "Tue 1 Dec, Tue 8 Dec"),
        ("es", "Sin sitio: WOD, 07:00", "mar 1 dic, mar 8 dic"),
        ("ca", "Sense lloc: WOD, 07:00", "dt 1 des, dt 8 des"),
    ],
)
def test_days_of_a_series_without_room_are_told_by_their_dates(language: Language, title: str, days: str) -> None:
    told = told_of_series(language)
    assert (told["type"], told["title"]) == ("series.not_made", title)
    assert days in told["text"]
    assert told["data"] == {
        "user_email": "ana@example.com",
        "series_id": str(SERIES),
        "box_subdomain": "WOD",
        "days": {"20261201": "too-many", "20261208": "too-many"},
        "next": None,
    }
