"""Publishes what users are to be told. The database wrote it with the transition; this may die at any time."""

import structlog

from prebooking.domain.errors import MessagingError
from prebooking.domain.ports import Clock, Metrics, NoticeStore, NotificationSender
from prebooking.usecases.booking.gate import Gate
from prebooking.usecases.publishing import PublishBackoff

_log = structlog.get_logger()

_MOST_REFUSED = 3  # in one pass: what is wrong with so many is the webhook's URL, and is so a minute later
_PAUSE_S = 60.0


class NotificationLoop:
    """`teller` is None where nobody wants to hear: the notices are left to grow old."""

    def __init__(
        self,
        store: NoticeStore,
        teller: NotificationSender | None,
        orders: PublishBackoff,
        gate: Gate,
        clock: Clock,
        meter: Metrics,
    ) -> None:
        self._store = store
        self._teller = teller
        self._orders = orders
        self._gate = gate
        self._clock = clock
        self._from = float("-inf")
        self._meter = meter

    async def publish(self) -> int:
        """What is untold, one after the other; how many. Raises StoreUnavailableError: the rest is told later."""
        told = 0
        refused = 0
        while self._teller is not None and not self._orders.paused and self._clock.monotonic() >= self._from:
            await self._gate.calm()
            taken = await self._store.take_notices()
            for notice in taken:
                await self._gate.calm()
                try:
                    async with self._orders.order():
                        message_id = await self._teller.tell(notice)
                except MessagingError as exc:
                    if exc.pause:
                        return told  # which is told once for all
                    refused += 1
                    _log.warning(
                        "notice_not_published",
                        prebooking_id=str(notice.prebooking.id),
                        kind=notice.kind,
                        reason=str(exc),
                    )
                    if refused == _MOST_REFUSED:
                        self._from = self._clock.monotonic() + _PAUSE_S
                        return told
                    continue
                except Exception:  # noqa: BLE001  # an error of ours with one must not keep the others
                    _log.exception("notice_failed", prebooking_id=str(notice.prebooking.id), kind=notice.kind)
                    continue
                await self._store.mark_sent(notice.id, message_id)
                told += 1
                self._meter.told(notice.kind)
                _log.info(
                    "notice_published",
                    prebooking_id=str(notice.prebooking.id),
                    kind=notice.kind,
                    message_id=message_id,
                )
            if not taken:
                break
        return told
