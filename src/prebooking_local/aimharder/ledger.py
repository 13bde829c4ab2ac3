"""Every request that reached the gym: when its bytes came, what was decided, whether the answer left."""

from dataclasses import dataclass, field
from typing import Any

from prebooking_local.aimharder.request import Request


@dataclass(slots=True)
class Entry:
    """`decided` is the gym's own answer even if a fault kept it back; None if the request was never carried out."""

    request: Request
    member: str | None = None
    decided: Any = None
    status: int | None = None  # as sent
    fault: str | None = None
    delivered: bool = False  # the decided answer itself was written, whole, to an open connection
    answered_ns: int | None = None
    left_ns: int | None = None  # when its sender hung up, if that was before its answer

    def as_json(self) -> dict[str, Any]:
        request = self.request
        return {
            "connection": request.connection,
            "method": request.method,
            "target": request.target,
            "box": request.box,
            "path": request.path,
            "form": request.form,
            "cookie": request.headers.get("cookie"),
            "member": self.member,
            "first_byte_ns": request.first_byte_ns,
            "last_byte_ns": request.last_byte_ns,
            "decided": self.decided,
            "status": self.status,
            "fault": self.fault,
            "delivered": self.delivered,
            "answered_ns": self.answered_ns,
            "left_ns": self.left_ns,
        }


@dataclass(slots=True)
class Ledger:
    """In order of arrival. Control requests are not the gym's and are left out."""

    entries: list[Entry] = field(default_factory=list)

    def of(self, path: str, member: str | None = None) -> list[Entry]:
        return [entry for entry in self.entries if entry.request.path == path and member in (None, entry.member)]

    def stamps(self) -> list[tuple[str, str | None, int, int | None]]:
        """Returns path, member, first and last byte of each: small enough to fetch after a thousand requests."""
        return [
            (entry.request.path, entry.member, entry.request.first_byte_ns, entry.request.last_byte_ns)
            for entry in self.entries
        ]
