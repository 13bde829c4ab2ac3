"""One attempt to deliver a message."""

from dataclasses import dataclass

from prebooking_local.qstash.clock import Clock, within
from prebooking_local.qstash.courier import Parcel, send
from prebooking_local.qstash.message import Attempt, Message
from prebooking_local.qstash.signing import Signer
from prebooking_local.qstash.views import canonical

_REGION = "EU-CENTRAL-1"
_OURS = {"host", "content-length", "connection", "transfer-encoding"}


@dataclass(frozen=True)
class Deliverer:
    clock: Clock
    signer: Signer

    async def deliver(self, message: Message) -> Attempt:
        attempt = Attempt(message.retried, sent_at=self.clock.time())
        message.attempts.append(attempt)
        limit = message.order.timeout_s

        def sent() -> None:
            attempt.sent_at = self.clock.time()

        try:
            attempt.answer = await within(self.clock, limit, send(self._parcel(message), sent))
        except TimeoutError:
            attempt.error = f"no answer within {limit} s"
        except (OSError, UnicodeError) as exc:  # the latter from host names that are none
            attempt.error = str(exc) or type(exc).__name__
        attempt.answered_at = self.clock.time()
        return attempt

    def _parcel(self, message: Message) -> Parcel:
        order = message.order
        forwarded = {canonical(name): value for name, value in order.forwarded if name not in _OURS}
        ours = {
            "Upstash-Signature": self.signer.sign(order.url, order.body),
            "Upstash-Message-Id": message.id,
            "Upstash-Retried": str(message.retried),
            "Upstash-Caller-Ip": order.caller_ip,
            "Upstash-Region": _REGION,
        }
        if order.schedule_id:
            ours["Upstash-Schedule-Id"] = order.schedule_id
        return Parcel(order.url, order.method, {"User-Agent": "Upstash-QStash", **forwarded, **ours}, order.body)
