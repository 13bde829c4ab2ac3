"""The roles and privileges with which a hosted Supabase project begins.

They decide what a migration must revoke: whatever `postgres` creates in `public` is granted to every API
role. `postgres` is no superuser there, so it is none here; `supabase_admin` is.
"""

from typing import Any

SUPERUSER = "supabase_admin"

_ROLES = """
create role postgres login createdb createrole replication bypassrls password '{password}';
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create role authenticator login noinherit password '{password}';

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter database postgres owner to postgres;
"""

_PRIVILEGES = """
create schema extensions;
grant all on schema extensions to postgres;
grant usage on schema public, extensions to postgres, anon, authenticated, service_role;
"""

_DEFAULT_PRIVILEGES = """
alter default privileges for role {creator} in schema public
    grant all on {kind} to postgres, anon, authenticated, service_role;
"""


async def create_roles(connection: Any, password: str) -> None:
    """Creates the roles, once a server. The password is the login roles'."""
    await connection.execute(_ROLES.format(password=password))


async def grant_privileges(connection: Any) -> None:
    """Sets up one database. In `template1`, every database made from it has them too."""
    await connection.execute(_PRIVILEGES)
    for creator in ("postgres", SUPERUSER):
        for kind in ("tables", "functions", "sequences"):
            await connection.execute(_DEFAULT_PRIVILEGES.format(creator=creator, kind=kind))
