"""`prebooking serve` of an earlier commit, whose packages EARLIER_PYTHON has (earlier.py), in place of this process."""

import os

if __name__ == "__main__":
    python = os.environ["EARLIER_PYTHON"]
    os.execv(python, [python, "-I", "-m", "prebooking", "serve"])  # -I: without PYTHONPATH, which may name today's
