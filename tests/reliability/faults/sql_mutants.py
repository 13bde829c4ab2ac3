"""Functions of the database, broken on purpose: always the text that is in force, as the database itself has it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

_IN_FORCE = "select oid, pg_get_functiondef(oid) as text from pg_proc where proname = $1 and prokind = 'f'"
Replacement = tuple[str, str]


async def in_force(connection: asyncpg.Connection, function: str) -> str:
    """The definition of the one function of that name. Raises LookupError if there is none or more than one."""
    found = await connection.fetch(_IN_FORCE, function)
    if len(found) != 1:
        raise LookupError(f"there are {len(found)} functions {function}")
    return str(found[0]["text"])


def broken(function: str, text: str, *replacements: Replacement) -> str:
    """Replaces each piece by the other. Raises LookupError where it is not there exactly once, or nothing changes."""
    for piece, other in replacements:
        if text.count(piece) != 1 or piece == other:
            raise LookupError(f"{function} has {piece!r} {text.count(piece)} times: mend this mutant")
        text = text.replace(piece, other)
    return text


@asynccontextmanager
async def mutated(connection: asyncpg.Connection, function: str, *replacements: Replacement) -> AsyncIterator[None]:
    """The function is broken for as long as the context lasts."""
    original = await in_force(connection, function)
    await connection.execute(broken(function, original, *replacements))
    try:
        if await in_force(connection, function) == original:
            raise LookupError(f"{function} is as it was")
        yield
    finally:
        await connection.execute(original)
