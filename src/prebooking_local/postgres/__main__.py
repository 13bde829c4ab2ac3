"""`python -m prebooking_local.postgres`: prints the server's dsn as its url and runs until stopped."""

from typing import Annotated

import typer

from prebooking_local.postgres import postgres
from prebooking_local.serving import run


def main(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    version: Annotated[int, typer.Option(help="16 or 18.")] = 18,
    *,
    fsync: Annotated[bool, typer.Option(help="Survive the machine's crash too.")] = False,
) -> None:
    run(postgres(16 if version == 16 else 18, port=port, fsync=fsync))


if __name__ == "__main__":
    typer.run(main)
