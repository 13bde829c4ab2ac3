"""Publishes what users are to be told. The database wrote it with the transition; this may die at any time."""

import structlog

from prebooking.domain.errors import MessagingError
from prebooking.domain.metering import Meter
from prebooking.domain.notices import NoticeStore, Teller
from prebooking.usecases.gate import Gate

_log = structlog.get_logger()


class Notifier:
    """`teller` is None where nobody wants to hear: the notices are left to grow old."""

    def __init__(self, store: NoticeStore, teller: Teller | None, gate: Gate, meter: Meter) -> None:
        self._store = store
        self._teller = teller
        self._gate = gate
        self._meter = meter

    async def publish(self) -> int:
        """What is untold, one after the other; how many. Raises StoreUnavailableError: the rest is told later."""
        told = 0
        while self._teller is not None:
            await self._gate.calm()
            taken = await self._store.take_notices()
            for notice in taken:
                await self._gate.calm()
                try:
                    message_id = await self._teller.tell(notice)
                except MessagingError as exc:
                    _log.warning(
                        "notice_not_published",
                        prebooking_id=str(notice.prebooking.id),
                        kind=notice.kind,
                        reason=str(exc),
                    )
                    if exc.pause:
                        return told
                    continue
                except Exception:  # noqa: BLE001  # an error of ours with one must not keep the others
                    _log.exception("notice_failed", prebooking_id=str(notice.prebooking.id), kind=notice.kind)
                    continue
                await self._store.note_told(notice.id, message_id)
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
