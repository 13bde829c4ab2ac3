"""Postgres as hosted Supabase sets it up, embedded: started in half a second, gone without a trace."""

from prebooking.local.postgres.installation import Version
from prebooking.local.postgres.server import Postgres, ServerFailedError, postgres

__all__ = ["Postgres", "ServerFailedError", "Version", "postgres"]
