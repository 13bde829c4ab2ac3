"""A stand-in for AimHarder: accounts, boxes and their bookings, with every bad day that is known of it.

Where nobody has recorded what AimHarder does, a comment says that the answer is invented.
"""

from prebooking_local.aimharder.accounts import Member, Relative, Session, SessionRules
from prebooking_local.aimharder.faults import Fault
from prebooking_local.aimharder.gym import Box, GymClass, Person, Reservation
from prebooking_local.aimharder.ledger import Entry
from prebooking_local.aimharder.server import AimHarder, aimharder_server

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
