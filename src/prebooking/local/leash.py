"""`python -m prebooking.local.leash COMMAND …`: runs a command that can't know its owner, such as the service itself.

It ends the command when its own standard input closes: when the owner stops it, and when the owner is killed.
"""

import signal
import subprocess
import sys
import threading


def main() -> int:
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: process.terminate())

    def watch() -> None:
        sys.stdin.buffer.read()
        process.terminate()

    threading.Thread(target=watch, daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
