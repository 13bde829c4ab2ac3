"""`Upstash-Retry-Delay`: an expression over `retried`, in milliseconds."""

import ast
import math
import operator
from collections.abc import Callable

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: math.fmod,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "pow": math.pow,
    "sqrt": math.sqrt,
    "abs": abs,
    "exp": math.exp,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
    "min": min,
    "max": max,
}
_LONGEST = 256  # characters, so that nesting stays shallow


def milliseconds(text: str, retried: int) -> float:
    """Returns the expression's value. Raises ValueError if it has none."""
    if len(text) > _LONGEST:
        raise ValueError(f"longer than {_LONGEST} characters")
    try:
        value = _value(ast.parse(text.strip(), mode="eval").body, retried)
    except (SyntaxError, ArithmeticError, TypeError) as exc:
        raise ValueError(str(exc)) from exc
    if not math.isfinite(value):
        raise ValueError("no finite value")
    return max(0.0, value)


def _value(node: ast.expr, retried: int) -> float:
    """Returns a float, as every number is: an absurd power overflows instead of growing."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.Name(id="retried"):
            return float(retried)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, retried)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, retried), _value(right, retried))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return float(_FUNCTIONS[name](*(_value(arg, retried) for arg in args)))
    raise ValueError(f"{ast.unparse(node)!r} is not allowed")
