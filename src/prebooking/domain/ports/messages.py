"""QStash: what calls the service when a prebooking is due, and what brings the users their notices."""

from typing import Protocol

from prebooking.domain.notices import Notice
from prebooking.domain.prebooking import Prebooking


class Messages(Protocol):
    """The messages at QStash. All methods raise MessagingError, within two seconds."""

    async def publish(self, prebooking: Prebooking, *, delivery_failures: int = 0) -> str:
        """Orders the message of this row's version; its id. A repeat within ten minutes is the same message."""
        ...

    async def delete(self, message_id: str) -> None:
        """Takes a message back. One that is gone already is fine."""
        ...

    async def schedule_sweep(self, every_minutes: int) -> str:
        """Has the sweep called at minutes that the number divides; the schedule's id. A repeat changes it."""
        ...


class NotificationSender(Protocol):
    """The way to the users."""

    async def send(self, notice: Notice) -> str:
        """Orders the notice's delivery; the message's id. A repeat within ten minutes is the same message.

        Raises MessagingError.
        """
        ...
