"""A stand-in for AimHarder: accounts, boxes and their bookings, with every bad day that is known of it.

Where nobody has recorded what AimHarder does, a comment says that the answer is invented.
"""

from prebooking.local.aimharder.accounts import Member, Relative, Session, SessionRules
from prebooking.local.aimharder.faults import Fault
from prebooking.local.aimharder.gym import Box, GymClass, Person, Reservation
from prebooking.local.aimharder.ledger import Entry
from prebooking.local.aimharder.server import AimHarder, aimharder_server

__all__ = [
    "AimHarder",
    "Box",
    "Entry",
    "Fault",
    "GymClass",
    "Member",
    "Person",
    "Relative",
    "Reservation",
    "Session",
    "SessionRules",
    "aimharder_server",
]
