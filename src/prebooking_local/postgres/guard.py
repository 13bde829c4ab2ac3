"""A process of its own that runs one Postgres server and ends it when the server's owner is gone.

The owner holds this process's standard input open. One line there names a way to stop the server, for a
restart. The end of input means that the owner ended, in whatever way, `kill -9` included: the server is
then stopped at once and its folder removed, so that nothing outlives the owner.
Standard library alone, and started by its file's path, because it must start quickly.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading

STOP_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
STOP_SECONDS = 10


def guard(folder: str, uid: int, gid: int, command: list[str]) -> None:
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        user=uid,
        group=gid,
        extra_groups=[] if os.geteuid() == 0 else None,  # only root may change them, and has some to drop
    )
    # A terminal's Ctrl-C and a polite kill are for the owner, whose end is our only order to leave.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    abandoned = threading.Event()

    def obey() -> None:
        order = sys.stdin.readline().strip()
        if not order:
            abandoned.set()
        server.send_signal(STOP_SIGNALS.get(order, signal.SIGQUIT))
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()

    threading.Thread(target=obey, daemon=True).start()
    status = server.wait()
    if abandoned.is_set():
        shutil.rmtree(folder, ignore_errors=True)
    # Not sys.exit: at interpreter shutdown the thread may still hold standard input's lock.
    os._exit(abs(status))


if __name__ == "__main__":
    guard(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
