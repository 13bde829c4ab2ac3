"""Sends notices as Standard Webhooks through QStash: once QStash has accepted one, it arrives even if we are down."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from standardwebhooks import Webhook as Signer

from prebooking.adapters.qstash.messages import QStashMessages
from prebooking.adapters.qstash.notice_rendering import title_and_text
from prebooking.domain.notices import Language, Notice, NoticeKind, UnmadeDays
from prebooking.domain.plain_text import all_for_chat
from prebooking.domain.prebooking import Prebooking

_TYPES = {NoticeKind.SESSION_DEAD: "session.dead", NoticeKind.NOT_MADE: "series.not_made"}


class NoticeWebhook:
    """See prebooking.domain.ports.NotificationSender. `secret`: whsec_… or base64."""

    def __init__(self, messages: QStashMessages, url: str, secret: str, language: Language, zone: ZoneInfo) -> None:
        self._messages = messages
        self._url = url
        self._signer = Signer(secret)
        self._language = language
        self._zone = zone

    async def send(self, notice: Notice) -> str:
        body, now = self._body(notice), datetime.now(UTC)
        # Signed each time that it is published: receivers refuse a signature that is older than five minutes.
        headers = {
            "webhook-id": str(notice.id),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(str(notice.id), now, body),
        }
        key = f"notice-{notice.id}" + (f"-f{notice.failures}" if notice.failures else "")
        return await self._messages.forward(self._url, body, headers, deduplication_id=key)

    def _body(self, notice: Notice) -> str:
        """Returns the body. `title` and `text` are outside `data`, where Slack, Telegram and templates find them.

        Templates may use `data`, too, so text of outsiders is made harmless there as well.
        """
        title, text = title_and_text(notice, self._language, self._zone)
        return json.dumps(
            {
                "type": _TYPES.get(notice.kind) or f"prebooking.{notice.kind}",
                "timestamp": _rfc3339(notice.created_at),
                "title": title,
                "text": text,
                "data": (_of_prebooking(notice.prebooking) if notice.prebooking else {})
                | (_of_series(notice.series) if notice.series else {})
                | {"next": notice.next and _next(notice.next)},
            },
            ensure_ascii=False,
        )


def _of_prebooking(row: Prebooking) -> dict[str, Any]:
    timings = (row.result or {}).get("timings") or {}
    return {
        "user_email": row.user_email,
        "prebooking_id": str(row.id),
        "series_id": row.series_id and str(row.series_id),
        "status": row.status,
        "available_at": _rfc3339(row.available_at),
        "box_subdomain": all_for_chat(row.box_subdomain),
        "booking_data": all_for_chat(row.booking_data),
        "outcome": (row.result or {}).get("outcome"),
        "booking_id": (row.result or {}).get("bookingId"),
        "message": all_for_chat((row.result or {}).get("message")),
        "fire_lateness_ms": timings.get("fire_lateness_ms"),
        "response_ms": timings.get("response_ms"),
    }


def _of_series(series: UnmadeDays) -> dict[str, Any]:
    return {
        "user_email": series.user_email,
        "series_id": str(series.id),
        "box_subdomain": all_for_chat(series.weekly.box_subdomain),
        "days": all_for_chat(series.reasons),
    }


def _next(row: Prebooking) -> dict[str, Any]:
    return {
        "prebooking_id": str(row.id),
        "day": all_for_chat(row.booking_data.get("day")),
        "available_at": _rfc3339(row.available_at),
    }


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
