"""Postgres as hosted Supabase configures it, embedded: it starts in half a second and leaves no files."""

from prebooking_local.postgres.installation import Version
from prebooking_local.postgres.server import Postgres, ServerFailedError, postgres

__all__ = ["Postgres", "ServerFailedError", "Version", "postgres"]
