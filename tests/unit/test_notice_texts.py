"""What a gym or a user's page wrote mentions nobody in a chat, is no link there, and hides nothing."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from prebooking.adapters.qstash.notice_webhook import NoticeWebhook
from prebooking.domain.notices import Language, Notice, NoticeKind
from prebooking.domain.prebooking import Prebooking, Status

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
EVIL = "<!channel> @everyone [your gym](https://evil.example) \x1b[31m \u202e"


def body(kind: NoticeKind, language: Language, words: str, booking_data: Mapping[str, Any]) -> dict[str, Any]:
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
    notice = Notice(id=uuid4(), kind=kind, prebooking=row, created_at=NOW, failures=0)
    webhook = NoticeWebhook(None, "https://x.example", "whsec_" + "MDEy" * 8, language, ZoneInfo("Europe/Madrid"))  # type: ignore[arg-type]
    told: dict[str, Any] = json.loads(webhook._body(notice))
    return told


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
