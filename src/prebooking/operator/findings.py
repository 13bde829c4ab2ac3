"""The result of a check, and how to fix it."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    GOOD = "good"
    NOTE = "note"  #: worth knowing, nothing to fix
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject` groups findings for people; `check` is a stable name for programs."""

    subject: str
    check: str
    state: State
    message: str
    fix: str = ""  #: what to do; every bad finding has one

    def as_json(self) -> dict[str, str]:
        found = {"subject": self.subject, "check": self.check, "state": str(self.state), "told": self.message}
        return found | ({"fix": self.fix} if self.fix else {})


def good(subject: str, check: str, message: str) -> Finding:
    return Finding(subject, check, State.GOOD, message)


def note(subject: str, check: str, message: str, fix: str = "") -> Finding:
    return Finding(subject, check, State.NOTE, message, fix)


def bad(subject: str, check: str, message: str, fix: str) -> Finding:
    return Finding(subject, check, State.BAD, message, fix)
