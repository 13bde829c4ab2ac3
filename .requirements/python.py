"""Checks that `.venv` can be made with this Python; else names what is missing, and the command that brings it.

It runs on any Python 3.6 or later.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "error: Python 3.11 or later is needed; {} is {}.{}.\n"
        "  Another one on this machine is taken by its name: make demo PYTHON=python3.12\n"
        "  Debian 12 and later, Ubuntu 24.04 and later: sudo apt install python3 python3-venv\n"
        "  macOS: brew install python".format(sys.executable, *sys.version_info[:2])
    )
try:
    import ensurepip  # noqa: F401  # Debian packs it apart from Python, and venv fails without it
    import venv  # noqa: F401
except ImportError:
    sys.exit(
        "error: this Python can't make virtual environments: its venv module is incomplete.\n"
        "  Debian and Ubuntu: sudo apt install python{}.{}-venv".format(*sys.version_info[:2])
    )
