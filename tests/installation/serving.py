"""A server process of an environment of its own."""

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
from tests.installation.environments import environment

from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN

NOWHERE = "http://127.0.0.1:1"  # nobody listens there
SETTINGS = {
    "SUPABASE_URL": NOWHERE,
    "SUPABASE_SECRET_KEY": "sb_secret_local_development_only",
    "QSTASH_URL": NOWHERE,
    "QSTASH_TOKEN": DEV_TOKEN,
    "QSTASH_CURRENT_SIGNING_KEY": DEV_CURRENT_KEY,
    "QSTASH_NEXT_SIGNING_KEY": DEV_NEXT_KEY,
    "PUBLIC_URL": NOWHERE,
}


def answers(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False, timeout=10)


@contextlib.contextmanager
def serving(command: Sequence[str | Path], cwd: Path) -> Iterator[str]:
    """Runs a server, `{port}` in its command and PORT in its environment; its URL once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    process = subprocess.Popen(
        [str(part).replace("{port}", port) for part in command],
        cwd=cwd,
        env=environment({**SETTINGS, "PORT": port}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        give_up = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx.TransportError):
                answers(f"http://127.0.0.1:{port}/healthz")
                break
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < give_up, "it does not answer"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.communicate()
