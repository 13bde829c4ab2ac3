"""The server as a process of its own."""

from typing import Annotated

import typer

from prebooking_local.qstash.server import ProductionError, qstash_server
from prebooking_local.serving import run


def serve(
    *, port: int = 8080, parallelism: Annotated[int, typer.Option(min=1, help="Deliveries at once.")] = 100
) -> None:
    """Serve QStash's API on 127.0.0.1 until stopped."""
    try:
        run(qstash_server(port, parallelism=parallelism))
    except ProductionError as exc:
        raise SystemExit(f"error: {exc}") from exc


if __name__ == "__main__":
    typer.run(serve)
