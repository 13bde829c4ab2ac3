"""Prebooking: books the gym class that fills two seconds after it opens, at the instant it opens."""
