"""One member's cookies can't reach another's request, however many are under way, over shared replicas.

INTERLEAVED=10000 runs more.
"""

import asyncio
import os
import random
from collections import defaultdict
from contextlib import suppress
from uuid import uuid4

from prebooking.adapters.aimharder.client import AimHarder
from prebooking.domain.cookies import Cookie
from prebooking.domain.errors import BoxSilentError
from prebooking.domain.outcome import ReplyKind
from prebooking.domain.prebooking import BookingRequest, Box, Session
from prebooking_local.aimharder import AimHarder as GymServer
from prebooking_local.aimharder import Box as GymBox
from prebooking_local.aimharder import GymClass, Member, aimharder_server
from prebooking_local.aimharder.ledger import Entry

USERS, REPLICAS, AT_ONCE = 50, 3, 100
EXECUTIONS = int(os.environ.get("INTERLEAVED", "600"))
BOX = Box(subdomain="mygym", aimharder_id="7")
DAY = "20301128"


def tag(user: int) -> str:
    """Goes with each request that may carry it, so that the gym's ledger tells whose the request was meant to be."""
    return f"9{user:03}"


class Members:
    """50 of them, signed in, each with a cookie that says whose it is."""

    def __init__(self, server: GymServer) -> None:
        self.sessions: dict[int, Session] = {}
        for user in range(USERS):
            email = f"member{user:02}@example.com"
            server.accounts.put_member(Member.model_validate({"email": email, "family": [{"id": tag(user)}]}))
            theirs = server.accounts.stored_session(email, server.site.clock())
            cookies = [Cookie(c["name"], c["value"]) for c in theirs.cookies()]
            self.sessions[user] = Session(
                id=uuid4(),
                user_email=email,
                token=theirs.token,
                stored_token=theirs.token,
                cookies=(*cookies, Cookie("mark", tag(user))),
                fingerprint=theirs.fingerprint,
            )


async def execution(replica: AimHarder, members: Members, user: int, chance: random.Random) -> None:
    """The gym's part of one: make ready, hold, fire; and what a user asks for beside it."""
    session = members.sessions[user]
    async with replica.visit(BOX, session) as gym:
        known = await asyncio.gather(gym.whoami(), gym.listing(DAY, tag(user)), return_exceptions=True)
        assert not [answer for answer in known if not answer]  # one that took too long is no answer, as in production
        held = gym.hold(BookingRequest(day=DAY, class_id=str(500 + user), family_id=tag(user), insist=0))
        await held.ready()
        await asyncio.sleep(chance.random() / 50)
        held.fire()
        reply = await held.reply(within_s=60)
        await held.aclose()
        assert reply.kind in {ReplyKind.BOOKED, ReplyKind.SAME_HOUR}, reply
    if chance.random() < 0.2:
        async with replica.account(session.cookies) as account:
            with suppress(BoxSilentError):
                assert await account.whoami()


def cookies_of(entry: Entry) -> dict[str, str]:
    pairs = [pair.partition("=")[::2] for pair in entry.request.headers["cookie"].split("; ")]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def meant_for(entry: Entry) -> str | None:
    return entry.request.form.get("familyId") or entry.request.query.get("familyId")


async def test_each_request_has_its_own_members_cookies_and_no_others() -> None:
    chance = random.Random(5)
    async with aimharder_server() as server:
        server.gym.put_box(GymBox(slug=BOX.subdomain, boid=7))
        for user in range(USERS):
            server.gym.put_class(
                GymClass.model_validate(
                    {"box": BOX.subdomain, "id": 500 + user, "day": DAY, "opens_at": "2026-01-01T00:00:00Z"}
                )
            )
        members = Members(server)
        replicas = [
            AimHarder(server.url + "/{box}", server.url, None, asyncio.get_running_loop().time) for _ in range(REPLICAS)
        ]
        room = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with room:
                await execution(replicas[number % REPLICAS], members, chance.randrange(USERS), chance)

        async with asyncio.TaskGroup() as group:
            for number in range(EXECUTIONS):
                group.create_task(one(number))
        entries = server.ledger.entries

    assert len(entries) >= 3 * EXECUTIONS
    owners: dict[tuple[str, str], set[str]] = defaultdict(set)
    by_connection: dict[object, set[str]] = defaultdict(set)
    for entry in entries:
        cookies = cookies_of(entry)
        mark = cookies.pop("mark")
        assert entry.member == f"member{mark[2:]}@example.com"
        assert meant_for(entry) in (None, mark)
        by_connection[entry.request.connection].add(mark)
        for cookie in cookies.items():
            owners[cookie].add(mark)
    # No value, the load balancer's included, was ever sent for two members, and no connection served two.
    assert not [cookie for cookie, marks in owners.items() if len(marks) > 1]
    assert not [connection for connection, marks in by_connection.items() if len(marks) > 1]
    assert len({mark for marks in owners.values() for mark in marks}) == USERS
