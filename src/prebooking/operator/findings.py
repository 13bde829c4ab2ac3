"""What a check found, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    GOOD = "good"
    NOTE = "note"  #: worth knowing, nothing to mend
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject` groups what belongs together; `check` names it for machines and stays the same."""

    subject: str
    check: str
    state: State
    told: str
    fix: str = ""  #: what to do; every bad one has it

    def as_json(self) -> dict[str, str]:
        told = {"subject": self.subject, "check": self.check, "state": str(self.state), "told": self.told}
        return told | ({"fix": self.fix} if self.fix else {})


def good(subject: str, check: str, told: str) -> Finding:
    return Finding(subject, check, State.GOOD, told)


def note(subject: str, check: str, told: str, fix: str = "") -> Finding:
    return Finding(subject, check, State.NOTE, told, fix)


def bad(subject: str, check: str, told: str, fix: str) -> Finding:
    return Finding(subject, check, State.BAD, told, fix)
