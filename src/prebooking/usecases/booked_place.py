"""Finds out by the gym's listing whether a user still has the booked place."""

import math
from dataclasses import dataclass
from enum import Enum, auto

from prebooking.domain.classes import ListedClass
from prebooking.domain.errors import BoxSilentError
from prebooking.domain.ports import Gym
from prebooking.domain.prebooking import Box, Prebooking, Session
from prebooking.usecases.sessions.revive import SessionReviver

_REVIVE_S = 4.0


class Enrolment(Enum):
    """The result if the listing shows no place."""

    GONE = auto()
    UNKNOWN = auto()


@dataclass(slots=True)
class GymSession:
    """A user's session at the gym, which is revived at most once, and what is known about their place."""

    gym: Gym
    row: Prebooking
    session: Session
    box: Box
    absence_is_conclusive: bool  #: see GivingBack
    not_after: float = (
        math.inf
    )  #: the latest time for the request, on the monotonic clock: a later one could outlast the lease
    unsure: bool = False  #: an earlier request got no answer: it may still be carried out
    sent: bool = False
    seen: bool = False  #: the place, in the listing
    entered: bool = False  #: the box was told of the session
    revived: bool = False


async def enrolment_of(gym_session: GymSession, reviver: SessionReviver) -> ListedClass | Enrolment:
    """Returns the user's place, GONE, or UNKNOWN.

    GONE is believed only if the listing shows the class without the user, and the session proves alive after it
    was asked: a dead one sees nobody's places.
    """
    request = gym_session.row.request()
    if request is None:
        return Enrolment.UNKNOWN
    try:
        listed = (await gym_session.gym.listing(request.day, request.family_id)).get(request.class_id or "")
        if listed is not None and listed.book_state is not None:
            gym_session.seen = True
            return listed
        if not await gym_session.gym.whoami():
            return await enrolment_of(gym_session, reviver) if await revive(gym_session, reviver) else Enrolment.UNKNOWN
        if not gym_session.seen and not gym_session.entered:  # until then a box may not know of a session that is alive
            gym_session.entered = True
            await gym_session.gym.enter(gym_session.session.token, gym_session.session.fingerprint, gym_session.box)
            return await enrolment_of(gym_session, reviver)
        known = listed is not None and listed.standing_known and (gym_session.seen or gym_session.absence_is_conclusive)
        return Enrolment.GONE if known else Enrolment.UNKNOWN
    except BoxSilentError:
        return Enrolment.UNKNOWN


async def revive(gym_session: GymSession, reviver: SessionReviver) -> bool:
    """Refreshes the session, or signs it in again, once. Returns whether it is alive then."""
    if gym_session.revived:
        return False
    gym_session.revived = True
    try:
        revived = await reviver.revive(
            gym_session.gym,
            gym_session.row.user_email,
            gym_session.session,
            within_s=_REVIVE_S,
            web_app_s=_REVIVE_S / 2,
            may_sign_in=lambda: True,
        )
    except BoxSilentError:
        return False
    gym_session.session = revived.session or gym_session.session
    return revived.session is not None
