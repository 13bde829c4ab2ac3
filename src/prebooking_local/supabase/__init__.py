"""Supabase's gateway: PostgREST's function calls and the login, before an ordinary Postgres."""

from prebooking_local.supabase.faults import Fault
from prebooking_local.supabase.gateway import PUBLISHABLE_KEY, SECRET_KEY, Gateway, supabase_gateway
from prebooking_local.supabase.tokens import Member

__all__ = ["PUBLISHABLE_KEY", "SECRET_KEY", "Fault", "Gateway", "Member", "supabase_gateway"]
