"""The whole of AimHarder in one object: what routes and controls work on."""

from dataclasses import dataclass, field
from typing import Any

from prebooking_local.aimharder.accounts import Accounts, Session
from prebooking_local.aimharder.faults import Bend, Faults
from prebooking_local.aimharder.gym import Box, Gym
from prebooking_local.aimharder.ledger import Ledger
from prebooking_local.aimharder.moments import SECOND, Clock
from prebooking_local.aimharder.request import Request


@dataclass(slots=True)
class Site:
    clock: Clock
    gym: Gym = field(default_factory=Gym)
    accounts: Accounts = field(default_factory=Accounts)
    faults: Faults = field(default_factory=Faults)
    ledger: Ledger = field(default_factory=Ledger)

    def reset(self) -> None:
        self.gym = Gym()
        self.accounts = Accounts()
        self.ledger = Ledger()
        self.faults.clear()

    def bookings(self) -> list[dict[str, Any]]:
        """Returns who holds which place."""
        return [
            {
                "id": reservation.id,
                "box": reservation.key[0],
                "class_id": reservation.key[1],
                "member": reservation.person.member,
                "family_id": reservation.person.family_id,
                "state": reservation.state,
                "made_ns": reservation.made_ns,
            }
            for reservation in self.gym.reservations()
        ]


@dataclass(slots=True)
class Call:
    """A request on its way through a route: who asks, and which moment the gym believes it is."""

    site: Site
    request: Request
    bend: Bend

    @property
    def now_ns(self) -> int:
        return self.site.clock() + self._offset_ns

    @property
    def arrived_ns(self) -> int:
        return self.request.first_byte_ns + self._offset_ns

    @property
    def stale_ns(self) -> int:
        return int(self.bend.stale_s * SECOND)

    @property
    def _offset_ns(self) -> int:
        return int(self.bend.clock_s * SECOND)

    def session(self) -> Session | None:
        """Returns the living session of the cookies, for account routes. The gyms' clock has no part in it."""
        return self.site.accounts.living(self.request.auth, self.site.clock())

    def session_at(self, box: Box) -> Session | None:
        """Returns the same at a box, which may want more than the login cookie."""
        session = self.session()
        if session is None or not (session.admitted or box.slug in session.admitted_at):
            return None
        if box.needs_php_session and self.request.cookies.get("PHPSESSID") not in session.php_ids:
            return None
        return session
