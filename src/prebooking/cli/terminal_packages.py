"""Keeps the packages of the terminal out of the service's process, which prints nothing.

structlog and httpx load rich, and httpx pygments, wherever they are installed: 4 MiB.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_PACKAGES = ("rich", "pygments")


@contextmanager
def without_terminal_packages() -> Iterator[None]:
    """Modules imported inside of the block take these packages for not installed, unless they are loaded already."""
    hidden = [name for name in _PACKAGES if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: the import raises ModuleNotFoundError
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
