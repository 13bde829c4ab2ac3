"""QStash: delivers a message when a prebooking is due, and sends notices to users."""

from typing import Protocol

from prebooking.domain.notices import Notice
from prebooking.domain.prebooking import Prebooking


class Messages(Protocol):
    """Messages at QStash. All methods raise MessagingError, within two seconds."""

    async def publish(self, prebooking: Prebooking, *, delivery_failures: int = 0) -> str:
        """Schedules the message of this row's version.

        Returns its id. A repeat within ten minutes is the same message.
        """
        ...

    async def delete(self, message_id: str) -> None:
        """Deletes a message. It is no error if there is none any more."""
        ...

    async def schedule_sweep(self, every_minutes: int) -> str:
        """Has the sweep called at every minute divisible by the number.

        Returns the schedule's id. A repeat changes it.
        """
        ...


class NotificationSender(Protocol):
    """Sends notices to users."""

    async def send(self, notice: Notice) -> str:
        """Publishes the notice. Returns the message's id. A repeat within ten minutes is the same message.

        Raises MessagingError.
        """
        ...
