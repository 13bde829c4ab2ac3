"""The command line: the commands by subject, what they share (common.py), and the application (app.py)."""

from prebooking.cli.app import main

__all__ = ["main"]
