"""The expressions of `Upstash-Retry-Delay`."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prebooking_local.qstash.expression import milliseconds


@pytest.mark.parametrize(
    ("text", "retried", "expected"),
    [
        ("1000", 3, 1000),
        ("1000 * (1 + retried)", 2, 3000),
        ("pow(2, retried)", 5, 32),
        ("max(10, pow(2, retried))", 1, 10),
        ("min(pow(3, retried) * 1000, 300000)", 9, 300000),
        ("sqrt(16) + abs(-2) + floor(1.9) + ceil(0.1) + round(2.6)", 0, 11),
        ("exp(0) / 4 - 1", 0, 0),
        ("7 % 4", 0, 3),
    ],
)
def test_an_expression_has_the_value_arithmetic_gives_it_and_never_less_than_zero(
    text: str, retried: int, expected: float
) -> None:
    assert milliseconds(text, retried) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "retries",
        "__import__('os').getcwd()",
        "().__class__",
        "[1][0]",
        "(lambda: 1)()",
        "True",
        "'a' * 3",
        "2 ** 2",
        "pow(2)",
        "max()",
        "min(*[1])",
        "1 / retried",
        "sqrt(-1)",
        "pow(9, pow(9, 9))",
        "1e999",
        "1j",
        "1;2",
        "(" * 300,
    ],
)
def test_anything_else_is_refused_and_never_run(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        milliseconds(text, 0)


@given(st.text(alphabet="retid0123456789.+-*/%(), powmaxinsqbflc\n\x00", max_size=60), st.integers(0, 5))
def test_whatever_is_written_it_is_a_finite_wait_or_a_refusal(text: str, retried: int) -> None:
    with suppress(ValueError):
        assert 0 <= milliseconds(text, retried) < float("inf")
