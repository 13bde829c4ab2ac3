"""The part of the store with the owners of e-mail addresses."""

from datetime import datetime

from pydantic import TypeAdapter

from prebooking.adapters.supabase.rpc import SupabaseRpc
from prebooking.domain.email_owners import Ownership

_OWNERSHIP = TypeAdapter(Ownership)


class SupabaseOwners:
    """See prebooking.domain.ports.OwnerStore."""

    _rpc: SupabaseRpc

    async def own_email(self, sub: str, email: str, issued_at: datetime | None) -> Ownership:
        return _OWNERSHIP.validate_python(await self._rpc.call("own_email", sub=sub, email=email, issued_at=issued_at))
