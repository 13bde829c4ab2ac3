"""What a check is given: the settings, the ways to database and QStash, and what was seen before it."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from prebooking.adapters.qstash.account import QStashAccount, open_account
from prebooking.adapters.supabase.rpc import SupabaseRpc, open_rpc
from prebooking.operator.inspection import Inspection
from prebooking.settings import Settings


@dataclass(slots=True, kw_only=True)
class Case:
    """`within_s`: how long a message from outside may take."""

    settings: Settings
    within_s: float
    stack: AsyncExitStack
    inspection: Inspection | None = None  #: None: the database has not told
    takes_orders: bool = False  #: whether QStash does
    misses: bool = False  #: whether PUBLIC_URL is known not to lead to the service
    _rpc: SupabaseRpc | None = field(default=None, init=False)
    _account: QStashAccount | None = field(default=None, init=False)

    async def rpc(self) -> SupabaseRpc:
        """Opened when it is first asked for, so that whoever fails to open it is the check that tells of it."""
        if self._rpc is None:
            key = self.settings.supabase_secret_key.get_secret_value()
            self._rpc = await self.stack.enter_async_context(open_rpc(self.settings.supabase_url, key, "doctor"))
        return self._rpc

    async def account(self) -> QStashAccount:
        if self._account is None:
            token = self.settings.qstash_token.get_secret_value()
            self._account = await self.stack.enter_async_context(
                open_account(self.settings.qstash_url, token, self.settings.forward_headers)
            )
        return self._account
