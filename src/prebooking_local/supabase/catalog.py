"""PostgREST's schema cache: the functions of `public`, how they are called and what they return."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from prebooking_local.supabase.errors import RestError

API_ROLES = ("anon", "authenticated", "service_role")

# Domains count as what they are based on; OUT and TABLE arguments make a row of any return type.
_FUNCTIONS = """
select p.proname as name, p.proretset as returns_set, p.provolatile <> 'v' as reads_only,
       p.prorettype = 'void'::regtype as returns_void,
       coalesce(p.proargmodes::text[] && '{t,b,o}', false)
           or coalesce(base.typtype, returned.typtype) = 'c' as returns_row,
       (select option_value from pg_options_to_table(p.proconfig)
        where option_name = 'statement_timeout') as statement_timeout,
       (select coalesce(json_agg(json_build_array(name, type, place <= p.pronargs - p.pronargdefaults)
                                 order by place), '[]')
        from (select p.proargnames[n] as name, format_type(oid, null) as type,
                     row_number() over (order by n) as place
              from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality as a (oid, n)
              where coalesce(p.proargmodes[n], 'i') in ('i', 'b')) as arguments)::text as arguments
from pg_proc p
join pg_type returned on returned.oid = p.prorettype
left join pg_type base on base.oid = returned.typbasetype
where p.pronamespace = 'public'::regnamespace and p.prokind = 'f'
"""
_ROLE_SETTINGS = """
select r.rolname as role, option_name as name, option_value as value
from pg_db_role_setting s join pg_roles r on r.oid = s.setrole, pg_options_to_table(s.setconfig)
where s.setdatabase = 0 and r.rolname = any($1)
"""


@dataclass(frozen=True)
class Argument:
    name: str
    type: str
    required: bool


@dataclass(frozen=True)
class Function:
    name: str
    arguments: tuple[Argument, ...]
    returns_set: bool
    returns_row: bool
    returns_void: bool
    reads_only: bool
    statement_timeout: str | None

    def takes(self, names: Collection[str]) -> bool:
        known = {argument.name for argument in self.arguments}
        required = {argument.name for argument in self.arguments if argument.required}
        return required <= set(names) <= known

    def __str__(self) -> str:
        listed = ", ".join(f"{argument.name} => {argument.type}" for argument in self.arguments)
        return f"public.{self.name}({listed})"


@dataclass(frozen=True)
class Catalog:
    functions: tuple[Function, ...]
    role_settings: dict[str, dict[str, str]]

    def find(self, name: str, names: Collection[str]) -> Function:
        """Returns the one function of that name that takes exactly these arguments, as far as it has no defaults."""
        found = [function for function in self.functions if function.name == name and function.takes(names)]
        if not found:
            raise _unknown(name, names)
        if len(found) > 1:
            raise _ambiguous(found)
        return found[0]


async def read_catalog(connection: Any) -> Catalog:
    async with connection.transaction(readonly=True):
        # With an empty path, type names come out qualified and mean the same in every session.
        await connection.execute("set local search_path = ''")
        functions = await connection.fetch(_FUNCTIONS)
        settings = await connection.fetch(_ROLE_SETTINGS, API_ROLES)
    role_settings: dict[str, dict[str, str]] = {role: {} for role in API_ROLES}
    for row in settings:
        role_settings[row["role"]][row["name"]] = row["value"]
    return Catalog(tuple(_function(dict(row)) for row in functions), role_settings)


def _function(row: dict[str, Any]) -> Function:
    arguments = tuple(Argument(*argument) for argument in json.loads(row.pop("arguments")))
    return Function(arguments=arguments, **row)


def _unknown(name: str, names: Collection[str]) -> RestError:
    listed = ", ".join(names)
    called = f"({listed})" if names else " without parameters"
    having = f"parameter{'s' if len(names) > 1 else ''} {listed}" if names else "parameters"
    return RestError(
        404,
        "PGRST202",
        f"Could not find the function public.{name}{called} in the schema cache",
        details=f"Searched for the function public.{name} {'with' if names else 'without'} {having} or with a"
        " single unnamed json/jsonb parameter, but no matches were found in the schema cache.",
    )


def _ambiguous(found: list[Function]) -> RestError:
    return RestError(
        300,
        "PGRST203",
        "Could not choose the best candidate function between: " + ", ".join(map(str, found)),
        hint="Try renaming the parameters or the function itself in the database so function overloading can"
        " be resolved",
    )
