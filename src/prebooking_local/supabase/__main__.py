"""`python -m prebooking_local.supabase`: the gateway as a process of its own."""

from typing import Annotated

import typer

from prebooking_local.serving import run
from prebooking_local.supabase import Member, supabase_gateway


def _member(text: str) -> Member:
    email, separator, password = text.partition(":")
    if not separator:
        raise typer.BadParameter(f"{text!r} is not email:password")
    return Member(email, password)


def main(
    *,
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="Log in as `authenticator`.")],
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    member: Annotated[list[str] | None, typer.Option(help="email:password, may be repeated.")] = None,
) -> None:
    run(supabase_gateway(database_url, port=port, members=[_member(text) for text in member or ()]))


if __name__ == "__main__":
    typer.run(main)
