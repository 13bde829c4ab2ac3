"""Postgres as hosted Supabase sets it up, embedded: started in half a second, gone without a trace."""

from prebooking_local.postgres.installation import Version
from prebooking_local.postgres.server import Postgres, ServerFailedError, postgres

__all__ = ["Postgres", "ServerFailedError", "Version", "postgres"]
