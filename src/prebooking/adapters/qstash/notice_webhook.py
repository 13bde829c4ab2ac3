"""Sends notices as Standard Webhooks through QStash: once QStash has taken one, it arrives even if we are gone."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from standardwebhooks import Webhook as Signer

from prebooking.adapters.qstash.messages import QStashMessages
from prebooking.adapters.qstash.notice_texts import title_and_text
from prebooking.domain.notices import Language, Notice, NoticeKind
from prebooking.domain.plain_text import all_for_chat


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
        # Signed anew each time that it is published: receivers refuse a signature that is older than five minutes.
        headers = {
            "webhook-id": str(notice.id),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(str(notice.id), now, body),
        }
        key = f"notice-{notice.id}" + (f"-f{notice.failures}" if notice.failures else "")
        return await self._messages.forward(self._url, body, headers, deduplication_id=key)

    def _body(self, notice: Notice) -> str:
        """`title` and `text` stand outside `data`, where Slack, Telegram and templates find them.

        Templates take from `data`, too: there, too, text of outsiders is made harmless.
        """
        row = notice.prebooking
        title, text = title_and_text(notice, self._language, self._zone)
        timings = (row.result or {}).get("timings") or {}
        event = "session.dead" if notice.kind is NoticeKind.SESSION_DEAD else f"prebooking.{notice.kind}"
        return json.dumps(
            {
                "type": event,
                "timestamp": notice.created_at.isoformat().replace("+00:00", "Z"),
                "title": title,
                "text": text,
                "data": {
                    "user_email": row.user_email,
                    "prebooking_id": str(row.id),
                    "status": row.status,
                    "available_at": row.available_at.isoformat().replace("+00:00", "Z"),
                    "box_subdomain": all_for_chat(row.box_subdomain),
                    "booking_data": all_for_chat(row.booking_data),
                    "outcome": (row.result or {}).get("outcome"),
                    "booking_id": (row.result or {}).get("bookingId"),
                    "message": all_for_chat((row.result or {}).get("message")),
                    "fire_lateness_ms": timings.get("fire_lateness_ms"),
                    "response_ms": timings.get("response_ms"),
                },
            },
            ensure_ascii=False,
        )
