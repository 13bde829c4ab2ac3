"""Members' sessions die at random moments of the last hour before one opening: who is booked, and who is told in time?

The hour takes four minutes, and nothing in them is faster than in life. Only the database's clock decides when a
session is looked at, so that one alone is set back, and jumps over the time in which no look is due: the minutes around
the looks 30 and 5 minutes before the opening, and the last half minute, pass second by second. The gym, QStash and the
replicas have the right time throughout. Whose session dies within what is jumped over finds it dead after the jump.

    python -m tests.processes.last_hour --members 100 --seed 1
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import asyncpg
from tests.reliability.faults.replica import Replica
from tests.support.database_clock import DatabaseClock
from tests.support.webhook_receiver import Receiver, receiver

from prebooking_local.stack import UNLIMITED, Member, Ports, Stack, outside

LOGIN, BOOK = "/api/login", "/api/book"
IN_TIME_S = 240.0  #: before the opening: to sign in by hand
_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
_BOX = {"slug": "mygym", "boid": 7}
_RULES = {"stale_token_kills": True, "refresh_renews_cookie": True, "needs_setrefresh": True, "one_device": True}
_LOGIN_S = 0.3  # what AimHarder takes for one
_CLASS_ID = 501
_HOUR_S = 3600.0
_LAST_LOOK_S = 300.0
#: What passes second by second: from so many seconds before the opening to so many. A replica looks every 20 s.
_PLAYED = ((1805.0, 1685.0), (305.0, 235.0), (30.0, 0.0))
_CREATING_S = 30.0
_AFTERWARDS_S = 120.0
_AT_ONCE = 8
_TRIES, _UNAVAILABLE = 5, 503
#: Two cores make 200 requests ready in that time, beside the gym and Postgres: see tests/benchmarks.
_CROWD = {"LEAD_SECONDS": "10", "MAX_DURATION_SECONDS": "18"}


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the hour that is played. `behind_s`: the database's clock, then."""

    begins_s: float  #: before the opening, as the database has it
    real_s: float  #: and as it is

    @property
    def behind_s(self) -> float:
        return self.begins_s - self.real_s


def windows() -> list[Window]:
    """In their order."""
    found: list[Window] = []
    real_s = 0.0
    for begins_s, ends_s in reversed(_PLAYED):
        real_s += begins_s - ends_s
        found.insert(0, Window(begins_s, real_s))
    return found


def real_moment(before_s: float) -> float:
    """Seconds before the opening, as they are, of what the database has so long before it."""
    for window, (_, ends_s) in zip(windows(), _PLAYED, strict=True):
        if before_s > window.begins_s:
            return window.real_s  # jumped over
        if before_s >= ends_s:
            return before_s - window.behind_s
    return windows()[-1].real_s


@dataclass(slots=True)
class Verdict:
    """Of both groups; `died` and `told` are seconds before the opening, by e-mail."""

    remembered: list[str]
    others: list[str]
    died: dict[str, float]
    told: dict[str, float] = field(default_factory=dict)
    booked: dict[str, float] = field(default_factory=dict)  #: ms after the opening
    sign_ins: Counter[str] = field(default_factory=Counter)  #: of the service's own, by the gym's ledger
    logins: int = 0  #: of the service's own, answered or not
    early: int = 0

    @property
    def booked_and_signed_in_once(self) -> int:
        return sum(email in self.booked and self.sign_ins[email] == 1 for email in self.remembered)

    @property
    def told_in_time(self) -> int:
        return sum(self.told.get(email, 0.0) >= IN_TIME_S for email in self.others)

    @property
    def wrong(self) -> list[str]:
        found = [
            f"{email} died {self.died[email]:.1f} s before, was signed in {self.sign_ins[email]} times, "
            f"{'booked' if email in self.booked else 'not booked'}"
            for email in self.remembered
            if not (email in self.booked and self.sign_ins[email] == 1)
        ]
        found += [f"{email} was told though it is remembered" for email in self.remembered if email in self.told]
        found += [
            f"{email} died {self.died[email]:.1f} s before, told {self.told.get(email, 0.0):.1f} s before"
            for email in self.others
            if self.told.get(email, 0.0) < IN_TIME_S
        ]
        if self.logins != len(self.remembered):
            found.append(f"{self.logins} logins for {len(self.remembered)} members")
        return found + ([f"{self.early} requests before the opening"] if self.early else [])


class Play:
    def __init__(
        self, stack: Stack, database: asyncpg.Connection, webhook: Receiver, members: int, rng: Random, last_s: float
    ) -> None:
        self._stack = stack
        self._database = database
        self._clock = DatabaseClock(database)
        self._webhook = webhook
        remembered = [f"member{number:03}@example.com" for number in range(members)]
        others = [f"other{number:03}@example.com" for number in range(members)]
        died = {email: rng.uniform(0.0, last_s) for email in remembered}
        # Whose session lives on after the last look nobody can warn.
        died |= {email: rng.uniform(_LAST_LOOK_S, _HOUR_S) for email in others}
        self._verdict = Verdict(remembered, others, died)
        self._opens_at = datetime.now(UTC)
        self._passwords = {email: f"password {rng.getrandbits(64):x}" for email in died}
        self._opened_before: Counter[str] = Counter()  #: sessions at the gym, before the hour

    async def play(self) -> Verdict:
        await self._clock.set_back(2 * _HOUR_S)
        gym = self._stack.aimharder_url
        await self._stack.control(gym, "boxes", _BOX)
        await self._stack.control(gym, "sessions/rules", _RULES)
        await self._stack.control(gym, "faults", {"kind": "slow", "path": LOGIN, "seconds": _LOGIN_S})
        await self._stack.sign_up([Member(email, password, email) for email, password in self._passwords.items()])
        port = int(self._stack.service_url.rpartition(":")[2])
        replicas = [Replica(port, self._stack.environment) for _ in range(2)]
        try:
            for replica in replicas:
                await replica.ready()
            await self._each(self._sign_in)
            await self._stack.http.delete(f"{gym}/_control/ledger")
            self._opened_before = await self._opened()
            await self._pass_the_hour()
        finally:
            for replica in replicas:
                replica.kill()
                await replica.gone()
        return self._verdict

    async def _opened(self) -> Counter[str]:
        """How many sessions each member has had at the gym."""
        sessions = (await self._stack.control(self._stack.aimharder_url, "sessions"))["sessions"]
        return Counter(session["member"] for session in sessions)

    async def _each(self, act: Any) -> None:
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def one(email: str) -> None:
            async with at_once:
                await act(email)

        await asyncio.gather(*(one(email) for email in self._verdict.died))

    async def _sign_in(self, email: str) -> None:
        body = {"email": email, "password": self._passwords[email], "remember": email in self._verdict.remembered}
        await self._ask(email, "/session", body)

    async def _prebook(self, email: str) -> None:
        body = {
            "box_subdomain": _BOX["slug"],
            "box_aimharder_id": _BOX["boid"],
            "booking_data": {"day": self._day, "id": _CLASS_ID},
            "available_at": self._opens_at.isoformat(),
        }
        await self._ask(email, "/prebookings", body)

    async def _ask(self, email: str, path: str, body: dict[str, Any]) -> None:
        """As a person does, who is told to try again where something took too long."""
        headers = self._stack.headers(email)
        for _ in range(_TRIES):
            answer = await self._stack.http.post(self._stack.service_url + path, headers=headers, json=body)
            if answer.status_code != _UNAVAILABLE:
                break
        assert answer.is_success, answer.text

    @property
    def _day(self) -> str:
        return f"{self._opens_at + timedelta(days=4):%Y%m%d}"

    async def _pass_the_hour(self) -> None:
        first = windows()[0]
        opens_at = datetime.now(UTC) + timedelta(seconds=first.real_s + _CREATING_S + 1)
        self._opens_at = opens_at.replace(microsecond=0)
        await self._clock.set_back(_HOUR_S - first.real_s)
        await self._put_class_up()
        await self._each(self._prebook)
        assert self._left_s > first.real_s, f"the machine is too slow: creating took {_CREATING_S} s and more"
        await self._die()
        listening = asyncio.create_task(self._listen())
        try:
            for window in windows():
                await asyncio.sleep(max(0.0, self._left_s - window.real_s))
                await self._clock.set_back(window.behind_s)
            await asyncio.sleep(max(0.0, self._left_s))
            await self._until_ended()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        await self._judge()

    @property
    def _left_s(self) -> float:
        return self._opens_at.timestamp() - time.time()

    async def _put_class_up(self) -> None:
        values = {
            "box": _BOX["slug"],
            "id": _CLASS_ID,
            "day": self._day,
            "opens_at": self._opens_at.isoformat(),
            "capacity": len(self._verdict.died) + 20,
        }
        await self._stack.control(self._stack.aimharder_url, "classes", values)

    async def _die(self) -> None:
        """Whatever sessions they have by now end then; one that is signed in later lives."""
        deaths = [
            {"member": email, "at": (self._opens_at - timedelta(seconds=real_moment(before_s))).isoformat()}
            for email, before_s in self._verdict.died.items()
        ]
        await self._stack.control(self._stack.aimharder_url, "sessions/kill", deaths)

    async def _listen(self) -> None:
        """When each notice of a dead session comes, by the clock that the looks go by."""
        heard = 0
        while True:
            now_s = self._left_s + self._clock.behind_s
            for notice in self._webhook.received[heard:]:
                if notice["type"] == "session.dead":
                    self._verdict.told.setdefault(notice["data"]["user_email"], now_s)
            heard = len(self._webhook.received)
            await asyncio.sleep(0.02)

    async def _until_ended(self) -> None:
        until = time.monotonic() + _AFTERWARDS_S
        while time.monotonic() < until:
            await asyncio.sleep(0.5)
            if not await self._database.fetchval(
                "select exists (select from public.prebookings where status in ('pending', 'executing'))"
            ):
                return

    async def _judge(self) -> None:
        verdict, gym = self._verdict, self._stack.aimharder_url
        opens_ns = int(self._opens_at.timestamp()) * 1_000_000_000
        for booking in (await self._stack.control(gym, "bookings"))["bookings"]:
            assert booking["member"] not in verdict.booked, "booked twice"
            verdict.booked[booking["member"]] = (booking["made_ns"] - opens_ns) / 1e6
        verdict.sign_ins = await self._opened() - self._opened_before
        stamps = (await self._stack.control(gym, "stamps"))["stamps"]
        verdict.logins = sum(path == LOGIN for path, *_ in stamps)
        verdict.early = sum(path == BOOK and first_byte_ns < opens_ns for path, _, first_byte_ns, _ in stamps)


async def play(members: int, seed: int, last_s: float = _HOUR_S) -> Verdict:
    async with receiver() as webhook:
        settings: dict[str, Any] = {name.upper(): str(value) for name, value in webhook.settings.items()}
        settings |= UNLIMITED | _CROWD | {"SESSION_ENCRYPTION_KEYS": _KEY, "LOG_LEVEL": "ERROR"}
        async with (
            outside(Ports(0, 0, 0, 0), parallelism=2 * members, **settings) as stack,
            stack.database() as database,
        ):
            return await Play(stack, database, webhook, members, Random(seed), last_s).play()


def report(verdict: Verdict) -> str:
    booked = [verdict.booked[email] for email in verdict.remembered if email in verdict.booked]
    told = [verdict.told[email] for email in verdict.others if email in verdict.told]
    members = len(verdict.remembered)
    once, in_time = verdict.booked_and_signed_in_once, verdict.told_in_time
    lines = [
        f"password remembered: {once} of {members} booked, each signed in once, by {verdict.logins} logins",
        f"not remembered: {in_time} of {members} told 4 minutes before or more, the last {min(told, default=0):.0f} s",
        f"booked after the opening: {_spread(booked)}",
    ]
    edges = (_HOUR_S, 1800.0, _LAST_LOOK_S, 10.0, 2.0, 0.0)
    for early_s, late_s in pairwise(edges):
        those = [email for email in verdict.remembered if late_s <= verdict.died[email] < early_s]
        came = [verdict.booked[email] for email in those if email in verdict.booked]
        lines.append(f"  of the {len(those)} who died {early_s:g} to {late_s:g} s before: {_spread(came)}")
    return "\n".join([*lines, *(f"✗ {what}" for what in verdict.wrong)])


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "none"
    return f"{len(values)}, p50 {statistics.median(values):.1f} ms, the last {max(values):.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog="Exit code 0: all is right."
    )
    parser.add_argument("--members", type=int, default=100, help="whose password is remembered; as many more are not")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--last", type=float, default=_HOUR_S, metavar="SECONDS", help="the remembered ones' sessions die in these"
    )
    asked = parser.parse_args()
    verdict = asyncio.run(play(asked.members, asked.seed, asked.last))
    sys.stdout.write(report(verdict) + "\n")
    sys.exit(bool(verdict.wrong))


if __name__ == "__main__":
    main()
