"""What the matrix found, as a table in README.md: generated, between two marks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.reliability.faults.cases import OPERATIONS, Operation, all_cases
from tests.reliability.faults.failpoints import Action
from tests.reliability.faults.fault_injection import Occurrence
from tests.reliability.faults.runner import Result

README = Path(__file__).with_name("README.md")
_BEGIN, _END = "<!-- matrix: begin -->", "<!-- matrix: end -->"
_COLUMNS_RUN = {(case.action, case.when) for case in all_cases()}
_COLUMNS = [(action, when) for action in Action for when in Occurrence if (action, when) in _COLUMNS_RUN]
_TITLES = {Action.KILL: "killed", Action.STOP: "stopped", Action.LOSE: "lost", Action.DEPLOY: "deployed"}


@dataclass(frozen=True, slots=True)
class Report:
    matrix: Sequence[Result]
    qstash_off: Sequence[Result]  #: kills of an execution, once more
    lax: Sequence[Result]  #: stops of an execution that has begun, at a gym that takes a second booking

    def text(self) -> str:
        found = {(r.case.operation, r.case.point, r.case.action, r.case.when): r for r in self.matrix}
        lines = [
            "| point | while | " + " | ".join(f"{_TITLES[action]} {when}" for action, when in _COLUMNS) + " |",
            "|---|---|" + "--:|" * len(_COLUMNS),
        ]
        for operation, point in _rows():
            shown = [_shown(found.get((operation, point, action, when))) for action, when in _COLUMNS]
            if any(shown):
                lines.append(f"| `{point}` | {operation.name} | {' | '.join(shown)} |")
        return "\n".join([*lines, "", *self._sentences()])

    def write(self) -> None:
        head, _, rest = README.read_text().partition(_BEGIN)
        _, _, tail = rest.partition(_END)
        README.write_text(f"{head}{_BEGIN}\n\n{self.text()}\n\n{_END}{tail}")

    def _sentences(self) -> list[str]:
        lines = [f"* {_right(self.matrix)} cases ended right."]
        if self.qstash_off:
            before = [result for result in self.qstash_off if not result.case.begun]
            after = [result for result in self.qstash_off if result.case.begun]
            lines.append(
                f"* Kills of an execution with QStash off and all settings at their defaults: {_right(self.qstash_off)}"
                " ended right, counted from the fault, or from the opening if that was later, after"
                f" {_longest(before)} s at the latest where nothing had begun, {_longest(after)} s where it had."
            )
        if self.lax:
            twice = [f"`{result.case.point}`" for result in self.lax if result.bookings > 1]
            lines.append(
                "* Stops of an execution that had begun, at a gym that takes a second booking of the same hour:"
                f" {len(twice)} of {len(self.lax)} booked twice{': ' if twice else ''}{', '.join(twice)}."
            )
        return lines


def _rows() -> list[tuple[Operation, str]]:
    return [
        (operation, f"{call}:{when}")
        for operation in OPERATIONS
        for call in operation.calls
        for when in ("before", "after")
    ]


def _shown(result: Result | None) -> str:
    if result is None:
        return ""
    if result.wrong or result.healed_s is None:
        return "✗"
    marks = "†" * result.case.residue + "‡" * any(
        outcome in result.outcomes for outcome in ("session_expired", "class_not_found")
    )
    return f"{result.healed_s:.1f}{marks}{'§' * result.lost_session}"


def _right(results: Sequence[Result]) -> str:
    return f"{sum(not result.wrong for result in results)} of {len(results)}"


def _longest(results: Sequence[Result]) -> str:
    healed = [result.healed_s for result in results if result.healed_s is not None]
    return f"{max(healed):.1f}" if healed else "-"
