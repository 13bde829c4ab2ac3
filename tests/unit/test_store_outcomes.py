"""The outcomes that the service knows are those that the SQL functions answer, no fewer and no more."""

import re
from pathlib import Path

from prebooking.domain.store_outcomes import StoreOutcome

FUNCTIONS = Path(__file__).parents[2] / "sql" / "functions"
_DEFINED = re.compile(r"create or replace function\s+((?:public|prebooking)\.\w+)")
# After 'outcome' or as the first argument of prebooking.answer and series_answer: one word, or a `case` of several.
_ANSWERED = re.compile(
    r"(?:'outcome',|\b(?:series_)?answer\(|reason := (?:coalesce\([\w.]+,)?)\s*('\w+'|case\b.*?\bend\b)", re.DOTALL
)
_WORD = re.compile(r"(?:^|then |else )'(\w+)'")
_AS_JSON = re.compile(r'"outcome": "(\w+)"')


def bodies() -> dict[str, str]:
    """The text of each function in force, by its name."""
    sql = "".join(path.read_text(encoding="utf-8") for path in sorted(FUNCTIONS.glob("*.sql")))
    _, *rest = _DEFINED.split(re.sub(r"--.*", "", sql))
    found: dict[str, str] = {}
    for name, body in zip(rest[::2], rest[1::2], strict=True):
        found[name] = found.get(name, "") + body
    return found


def words(body: str) -> set[str]:
    answered = {word for text in _ANSWERED.findall(body) for word in _WORD.findall(text)}
    return answered | set(_AS_JSON.findall(body))


def answered_by_function() -> dict[str, set[str]]:
    """What each public function answers, by itself or by the helpers that it calls."""
    found = bodies()

    def of(name: str, seen: set[str]) -> set[str]:
        seen.add(name)
        helpers = [other for other in found if other.startswith("prebooking.") and other not in seen]
        called = [other for other in helpers if f"{other}(" in found[name]]
        return words(found[name]).union(*(of(other, seen) for other in called))

    return {name: of(name, set()) for name in found if name.startswith("public.")}


def test_each_public_function_answers_an_outcome() -> None:
    assert [name for name, answered in answered_by_function().items() if not answered] == []


def test_the_closed_set_is_what_functions_with_several_outcomes_answer() -> None:
    several = [answered for answered in answered_by_function().values() if len(answered) > 1]
    assert set().union(*several) == {str(outcome) for outcome in StoreOutcome}
