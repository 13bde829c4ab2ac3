"""Prebooking: books the gym class that fills two seconds after it opens, at the instant it opens."""

__version__ = "0.1.0"
