"""Encrypts what is plain and re-encrypts what is under older keys, one row at a time, beside a running service."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from prebooking.adapters.supabase.rpc import SupabaseRpc
from prebooking.adapters.supabase.session_vault import SessionVault, UnreadableError
from prebooking.adapters.supabase.sessions import open_cookies, open_token, seal_cookies, seal_token
from prebooking.adapters.supabase.sign_ins import open_password, seal_password
from prebooking.domain.store_outcomes import StoreOutcome

_PASSES = 50  # what is refreshed just then waits for the next
_PAUSE_S = 2.5  # all of them outlast the lease of a refresh whose replica died


class Step(StrEnum):
    ENCRYPTED = "encrypted"
    GONE = "gone"  #: the session was disconnected meanwhile
    LATER = "later"  #: the session is being refreshed: the next pass tries again
    UNREADABLE = "unreadable"  #: not changed


@dataclass(slots=True)
class Encryption:
    """Encrypts all rows. Raises StoreUnavailableError; a second run continues where the first ended."""

    rpc: SupabaseRpc
    vault: SessionVault  #: must have a key
    encrypted: int = 0
    unreadable: dict[UUID, str] = field(default_factory=dict)  #: reason by row id
    unreadable_passwords: dict[str, str] = field(default_factory=dict)  #: reason by user
    left: int = 0  #: number of rows that are not under the first key

    async def run(self) -> AsyncIterator[Step]:
        """Yields a step for each row."""
        for turn in range(_PASSES):
            if turn:
                await asyncio.sleep(_PAUSE_S)
            again = False
            async for step in self._one_pass():
                again = again or step is Step.LATER
                yield step
            async for step in self._passwords():
                yield step
            await self.count()
            if not again:
                break

    async def count(self) -> int:
        """Returns the number of rows that are not under the first key yet."""
        sessions = await self.rpc.call("list_sessions_to_encrypt", key_id=self.vault.key_id, limit=0)
        passwords = await self.rpc.call("list_passwords_to_encrypt", key_id=self.vault.key_id, limit=0)
        self.left = int(sessions["left"]) + int(passwords["left"])
        return self.left

    async def _one_pass(self) -> AsyncIterator[Step]:
        after_at, after_id = None, None
        while True:
            page = await self.rpc.call(
                "list_sessions_to_encrypt", key_id=self.vault.key_id, after_at=after_at, after_id=after_id
            )
            for row in page["sessions"]:
                after_at, after_id = row["at"], row["id"]
                if UUID(row["id"]) not in self.unreadable:
                    yield await self._encrypt(row)
            if not page["sessions"]:
                return

    async def _passwords(self) -> AsyncIterator[Step]:
        after = ""
        while True:
            page = await self.rpc.call("list_passwords_to_encrypt", key_id=self.vault.key_id, after=after)
            for row in page["passwords"]:
                after = row["user_email"]
                yield await self._encrypt_password(row)
            if not page["passwords"]:
                return

    async def _encrypt_password(self, row: Mapping[str, str]) -> Step:
        user, bound_to, stored = row["user_email"], row["sealed_for"], row["password"]
        try:
            password = open_password(self.vault, stored, bound_to)
        except UnreadableError as exc:
            self.unreadable_passwords[user] = str(exc)
            return Step.UNREADABLE
        new = seal_password(self.vault, password, bound_to)
        answer = await self.rpc.call("replace_password", user_email=user, old=stored, new=new)
        if answer["outcome"] != StoreOutcome.REPLACED:
            return Step.GONE  # or replaced by another, which is encrypted already
        self.encrypted += 1
        return Step.ENCRYPTED

    async def _encrypt(self, row: Mapping[str, Any]) -> Step:
        user = row["user_email"]
        try:
            token = open_token(self.vault, row["token"], user)
            cookies = open_cookies(self.vault, row["cookies"], user)
        except UnreadableError as exc:
            self.unreadable[UUID(row["id"])] = str(exc)
            return Step.UNREADABLE
        answer = await self.rpc.call(
            "replace_session_secrets",
            id=row["id"],
            old_token=row["token"],
            old_cookies=row["cookies"],
            new_token=seal_token(self.vault, token, user),
            new_cookies=seal_cookies(self.vault, cookies, user),
        )
        match answer["outcome"]:
            case StoreOutcome.REPLACED:
                self.encrypted += 1
                return Step.ENCRYPTED
            case StoreOutcome.NO_SESSION:
                return Step.GONE
            case _:
                return Step.LATER
