"""Publishes the notices to users.

The transaction that ended a prebooking has written its notice, so a crash here loses nothing.
"""

import structlog

from prebooking.domain.errors import MessagingError
from prebooking.domain.ports import Clock, Metrics, NoticeStore, NotificationSender
from prebooking.usecases.booking.gate import Gate
from prebooking.usecases.publishing import PublishCircuitBreaker

_log = structlog.get_logger()

_MOST_REFUSED = 3  # failed notices in one pass: then the webhook's URL is probably wrong, and publishing pauses
_PAUSE_S = 60.0


class NoticePublisher:
    """Publishes notices. `sender` None: no webhook is set, and notices expire unsent."""

    def __init__(
        self,
        store: NoticeStore,
        sender: NotificationSender | None,
        circuit: PublishCircuitBreaker,
        gate: Gate,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._sender = sender
        self._circuit = circuit
        self._gate = gate
        self._clock = clock
        self._paused_until = float("-inf")
        self._metrics = metrics

    async def publish(self) -> int:
        """Publishes the unsent notices, one after the other; returns how many. Raises StoreUnavailableError."""
        sent = 0
        refused = 0
        while self._sender is not None and not self._circuit.paused and self._clock.monotonic() >= self._paused_until:
            await self._gate.calm()
            taken = await self._store.take_notices()
            for notice in taken:
                await self._gate.calm()
                try:
                    async with self._circuit.attempt():
                        message_id = await self._sender.send(notice)
                except MessagingError as exc:
                    if exc.pause:
                        return sent  # logged once for all notices
                    refused += 1
                    _log.warning(
                        "notice_not_published",
                        subject=notice.subject,
                        kind=notice.kind,
                        reason=str(exc),
                    )
                    if refused == _MOST_REFUSED:
                        self._paused_until = self._clock.monotonic() + _PAUSE_S
                        return sent
                    continue
                except Exception:  # noqa: BLE001  # a bug with one notice must not delay the others
                    _log.exception("notice_failed", subject=notice.subject, kind=notice.kind)
                    continue
                await self._store.mark_sent(notice.id, message_id)
                sent += 1
                self._metrics.count_notice(notice.kind)
                _log.info(
                    "notice_published",
                    subject=notice.subject,
                    kind=notice.kind,
                    message_id=message_id,
                )
            if not taken:
                break
        return sent
