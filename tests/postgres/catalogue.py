"""What a database consists of, as text that can be compared: its schemas `public` and `prebooking`, without rows."""

import asyncpg

_ACL = "coalesce((select array_agg(a::text order by a::text) from unnest({}) a)::text, '')"
_OF_TABLES = f"""
select 'table ' || c.oid::regclass, concat_ws(' ', 'rls', c.relrowsecurity, c.relforcerowsecurity, 'identity',
  c.relreplident, 'comment', obj_description(c.oid, 'pg_class'), {_ACL.format("c.relacl")})
from pg_class c where c.relkind in ('r', 'v', 'S', 'm') and c.relnamespace::regnamespace::text = any($1)
union all
select concat_ws(' ', 'column', a.attrelid::regclass, a.attname), concat_ws(' ', format_type(a.atttypid, a.atttypmod),
  a.attnotnull, pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum), {_ACL.format("a.attacl")})
from pg_attribute a join pg_class c on c.oid = a.attrelid
left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
where c.relkind = 'r' and a.attnum > 0 and not a.attisdropped and c.relnamespace::regnamespace::text = any($1)
union all
select concat_ws(' ', 'constraint', conrelid::regclass, conname),
  concat_ws(' ', pg_get_constraintdef(oid), convalidated)
from pg_constraint where connamespace::regnamespace::text = any($1) and conrelid <> 0
union all
select 'index ' || i.indexrelid::regclass, concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid)
from pg_index i join pg_class c on c.oid = i.indexrelid where c.relnamespace::regnamespace::text = any($1)
union all
select concat_ws(' ', 'trigger', tgrelid::regclass, tgname), concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled)
from pg_trigger t join pg_class c on c.oid = t.tgrelid
where not tgisinternal and c.relnamespace::regnamespace::text = any($1)
union all
select concat_ws(' ', 'policy', polrelid::regclass, polname), concat_ws(' ', polcmd, polpermissive,
  (select array_agg(rolname order by rolname) from pg_roles where oid = any(polroles))::text,
  pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) from pg_policy
union all
select concat_ws(' ', 'published', pubname, schemaname, tablename), attnames::text from pg_publication_tables
union all
select 'schema ' || nspname, {_ACL.format("nspacl")} from pg_namespace where nspname = any($1)
"""
# With their settings in one order.
_FUNCTIONS = f"""
select 'function ' || p.oid::regprocedure, pg_get_functiondef(p.oid), p.proconfig,
  concat_ws(' ', obj_description(p.oid, 'pg_proc'), {_ACL.format("p.proacl")}) as rest
from pg_proc p where p.pronamespace::regnamespace::text = any($1) and p.prokind = 'f'
"""
_SCHEMAS = ["public", "prebooking"]


async def catalogue(connection: asyncpg.Connection) -> dict[str, str]:
    found = {name: text or "" for name, text in await connection.fetch(_OF_TABLES, _SCHEMAS)}
    for name, definition, settings, rest in await connection.fetch(_FUNCTIONS, _SCHEMAS):
        text = "\n".join(line for line in definition.splitlines() if not line.startswith(" SET "))
        found[name] = "\n".join((text, *sorted(settings or ()), rest))
    return found
