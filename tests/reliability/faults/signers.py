"""Members who sign in to AimHarder with e-mail and password, in the middle of it all: half of them are remembered."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

import httpx
from tests.reliability.faults.clients import fresh_client
from tests.reliability.faults.plan import members

from prebooking_local.stack import Stack

#: In each of their passwords. Letters and digits alone, which nobody writes in another way.
MARK = "canary" + secrets.token_hex(8)
_EVERY = 4
_WITHIN_S = 30.0
_AT_ONCE = 8
_SIGNED_IN, _WAITS = 200, (429,)
_AGAIN = (None, 503)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a member was told; `status` None: nothing. Epoch seconds."""

    email: str
    at: float
    status: int | None
    said: str


@dataclass(slots=True)
class Signers:
    """`otherwise`: how a member gets a session who may not try any more."""

    stack: Stack
    rng: Random
    otherwise: Callable[[str], Awaitable[None]]
    heard: list[SignedIn] = field(default_factory=list)
    passwords: dict[str, str] = field(default_factory=dict)
    _http: httpx.AsyncClient = field(init=False)
    _at_once: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.passwords = {email: MARK + secrets.token_hex(4) for email in members()[::_EVERY]}
        self._http = fresh_client(self.stack.service_url, timeout_s=9)
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    @property
    def remembered(self) -> list[str]:
        """Those who ask for it."""
        return list(self.passwords)[::2]

    async def close(self) -> None:
        await self._http.aclose()

    async def run(self, within_s: float) -> None:
        """Each once, at some moment within that."""

        async def one(email: str) -> None:
            await asyncio.sleep(self.rng.uniform(0, within_s))
            await self.sign_in(email)

        await asyncio.gather(*(one(email) for email in self.passwords))

    async def sign_in(self, email: str) -> None:
        """As a member does who finds the session dead; without a password of ours, in the web application."""
        if email not in self.passwords or not await self._posted(email):
            await self.otherwise(email)

    async def _posted(self, email: str) -> bool:
        until = time.time() + _WITHIN_S
        while time.time() < until:
            async with self._at_once:
                status = await self._post(email)
            if status not in _AGAIN:
                return status == _SIGNED_IN
            await asyncio.sleep(self.rng.uniform(0.5, 1.5))
        return False

    async def _post(self, email: str) -> int | None:
        body = {"email": email, "password": self.passwords[email], "remember": email in self.remembered}
        status, said = None, ""
        try:
            answer = await self._http.post("/session", headers=self.stack.headers(email), json=body)
            status, said = answer.status_code, f"{answer.headers} {answer.text}"
        except httpx.TransportError as exc:
            said = repr(exc)
        self.heard.append(SignedIn(email, time.time(), status, said))
        return status

    def signed_in(self) -> list[str]:
        """Who was told that it is done."""
        return list({one.email: None for one in self.heard if one.status == _SIGNED_IN})

    @property
    def told_remembered(self) -> list[str]:
        """Who was, and asked to be remembered. Nobody asks for anything else later."""
        return [email for email in self.signed_in() if email in self.remembered]

    @property
    def odd(self) -> list[SignedIn]:
        """What nobody with the right password may be told."""
        return [one for one in self.heard if one.status not in (_SIGNED_IN, *_WAITS, *_AGAIN)]
