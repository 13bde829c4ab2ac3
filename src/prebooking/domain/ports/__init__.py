"""The ports of the use cases to the outside systems: Protocols, which the adapters implement.

Their data types are defined beside this package, by subject.
"""

from prebooking.domain.ports.calendars import CalendarFormat, CalendarStore
from prebooking.domain.ports.clock import Clock
from prebooking.domain.ports.giving_back import GivingBackStore
from prebooking.domain.ports.gym import Gym, Gyms, HeldRequest, MemberAccount
from prebooking.domain.ports.messages import Messages, NotificationSender
from prebooking.domain.ports.metrics import Metrics
from prebooking.domain.ports.series import SeriesStore
from prebooking.domain.ports.sessions import SessionStore, SignInStore
from prebooking.domain.ports.store import EventStore, HistoryStore, NoticeStore, OwnerStore, Store

__all__ = [
    "CalendarFormat",
    "CalendarStore",
    "Clock",
    "EventStore",
    "GivingBackStore",
    "Gym",
    "Gyms",
    "HeldRequest",
    "HistoryStore",
    "MemberAccount",
    "Messages",
    "Metrics",
    "NoticeStore",
    "NotificationSender",
    "OwnerStore",
    "SeriesStore",
    "SessionStore",
    "SignInStore",
    "Store",
]
