"""A stand-in for AimHarder: accounts, boxes and their bookings, with all known failures. If it is not on record what
AimHarder answers, a comment says that the answer is invented.
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
