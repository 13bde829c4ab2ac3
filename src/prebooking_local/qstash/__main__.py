"""The server as a process of its own."""

from typing import Annotated

import typer

from prebooking_local.qstash.quota import Quota
from prebooking_local.qstash.server import ProductionError, qstash_server
from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN
from prebooking_local.serving import run


def serve(
    *,
    port: int = 8080,
    token: str = DEV_TOKEN,
    current_key: str = DEV_CURRENT_KEY,
    next_key: str = DEV_NEXT_KEY,
    parallelism: Annotated[int, typer.Option(min=1, help="Deliveries at once.")] = 100,
    max_delay: Annotated[int, typer.Option(help="Seconds a message may wait.")] = Quota.max_delay_s,
    max_retries: Annotated[int, typer.Option(help="Retries a message may have.")] = Quota.max_retries,
    backoff_speed: Annotated[float, typer.Option(help="How many times faster retries come.")] = 1.0,
) -> None:
    """Serve QStash's API on 127.0.0.1 until stopped."""
    stand_in = qstash_server(
        port,
        token=token,
        current_key=current_key,
        next_key=next_key,
        parallelism=parallelism,
        quota=Quota(max_delay, max_retries),
        backoff_speed=backoff_speed,
    )
    try:
        run(stand_in)
    except ProductionError as exc:
        raise SystemExit(f"error: {exc}") from exc


if __name__ == "__main__":
    typer.run(serve)
