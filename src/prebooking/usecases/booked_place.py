"""Whether a user still has the place that was booked, by the gym's listing."""

import math
from dataclasses import dataclass
from enum import Enum, auto

from prebooking.domain.classes import ListedClass
from prebooking.domain.errors import BoxSilentError
from prebooking.domain.ports import Gym
from prebooking.domain.prebooking import Box, Prebooking, Session
from prebooking.usecases.sessions.revive import SessionReviver

_REVIVE_S = 4.0


class Standing(Enum):
    GONE = auto()
    UNKNOWN = auto()


@dataclass(slots=True)
class Visit:
    """One user at the gym, and the session that is revived once."""

    gym: Gym
    row: Prebooking
    session: Session
    box: Box
    absence_counts: bool
    not_after: float = math.inf  #: for a request, on the monotonic clock: else it could outlast the lease
    unsure: bool = False  #: a request was sent, here or earlier, that got no answer: it may yet be carried out
    sent: bool = False
    seen: bool = False  #: the place, in the listing
    entered: bool = False  #: the session was shown to the box
    revived: bool = False


async def standing_of(visit: Visit, reviver: SessionReviver) -> ListedClass | Standing:
    """Returns the user's place, GONE, or UNKNOWN.

    GONE is believed only if the listing shows the class without the user, and the session proves alive after it
    was asked: a dead one sees nobody's places.
    """
    request = visit.row.request()
    if request is None:
        return Standing.UNKNOWN
    try:
        listed = (await visit.gym.listing(request.day, request.family_id)).get(request.class_id or "")
        if listed is not None and listed.book_state is not None:
            visit.seen = True
            return listed
        if not await visit.gym.whoami():
            return await standing_of(visit, reviver) if await revive(visit, reviver) else Standing.UNKNOWN
        if not visit.seen and not visit.entered:  # a box may not know of a living session until then
            visit.entered = True
            await visit.gym.enter(visit.session.token, visit.session.fingerprint, visit.box)
            return await standing_of(visit, reviver)
        known = listed is not None and listed.standing_known and (visit.seen or visit.absence_counts)
        return Standing.GONE if known else Standing.UNKNOWN
    except BoxSilentError:
        return Standing.UNKNOWN


async def revive(visit: Visit, reviver: SessionReviver) -> bool:
    """Refreshes the session, or signs it in again, once. Returns whether it is alive then."""
    if visit.revived:
        return False
    visit.revived = True
    try:
        revived = await reviver.revive(
            visit.gym,
            visit.row.user_email,
            visit.session,
            within_s=_REVIVE_S,
            patience_s=_REVIVE_S / 2,
            may_sign_in=lambda: True,
        )
    except BoxSilentError:
        return False
    visit.session = revived.session or visit.session
    return revived.session is not None
