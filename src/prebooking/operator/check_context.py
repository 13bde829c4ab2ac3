"""The context of the checks: settings, clients of database and QStash, and results of earlier checks."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from prebooking.adapters.qstash.account import QStashAccount, open_account
from prebooking.adapters.supabase.rpc import SupabaseRpc, open_rpc
from prebooking.operator.inspection import Inspection
from prebooking.settings import Settings


@dataclass(slots=True, kw_only=True)
class CheckContext:
    """`within_s`: how long the test message of QStash may take."""

    settings: Settings
    within_s: float
    stack: AsyncExitStack
    inspection: Inspection | None = None  #: None: the database did not respond
    accepts_token: bool = False  #: whether QStash accepted the token
    unreachable: bool = False  #: whether PUBLIC_URL is known not to reach the service
    _rpc: SupabaseRpc | None = field(default=None, init=False)
    _account: QStashAccount | None = field(default=None, init=False)

    async def rpc(self) -> SupabaseRpc:
        """Opens the client at its first use, so that the check that uses it reports a failure."""
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
