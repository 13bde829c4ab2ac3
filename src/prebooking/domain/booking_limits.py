"""The time limits for booking a class: after an opening that is late, and before the class starts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingLimits:
    too_early_minutes: float  #: after the announced opening
    book_until_minutes: float  #: before the class's start

    def waits_for_opening(self, since_opening_s: float) -> bool:
        return since_opening_s < self.too_early_minutes * 60

    @property
    def never_opened(self) -> str:
        """The reason of a prebooking whose gym did not open the class in time."""
        limit = f"{self.too_early_minutes:g} minutes after the announced opening"
        return f"The gym had not opened the class {limit}, and that is the limit."

    @property
    def too_close(self) -> str:
        """The reason of a prebooking whose class has begun, or is about to."""
        setting = f"(BOOK_UNTIL_MINUTES_BEFORE={self.book_until_minutes:g})"
        if not self.book_until_minutes:
            return f"The class had begun before it could be booked {setting}."
        return f"The class begins too soon: it is booked until {self.book_until_minutes:g} minutes before {setting}."
