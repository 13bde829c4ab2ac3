"""`python -m prebooking_local.leash COMMAND …`: runs a command and ends it when its own standard input closes, which is
when the starting process closes it or is killed.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: process.terminate())

    def watch() -> None:
        while os.read(0, 64):  # not through sys.stdin, whose lock a thread may hold when the interpreter ends
            pass
        process.terminate()

    threading.Thread(target=watch, daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
