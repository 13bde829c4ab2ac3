"""A class's day as AimHarder writes it: YYYYMMDD."""

from datetime import date


def written(day: date) -> str:
    return f"{day:%Y%m%d}"


def read_day(text: str) -> date:
    """Parses a day. Raises ValueError if it does not exist."""
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))
