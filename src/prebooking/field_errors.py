"""What is wrong with a field, for people: pydantic's own texts describe its internals."""

from pydantic_core import ErrorDetails

# By pydantic's type of error. The names in braces are in its context: what is required, never what was given.
_MESSAGES = {
    "missing": "is missing",
    "model_type": "must be an object",
    "string_type": "must be a string",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_unicode": "must be valid Unicode",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "string_too_long": "must not be longer than {max_length} characters",
    "too_long": "must not be longer than {max_length}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
}


def message_of(error: ErrorDetails) -> str:
    """Returns how to correct the field, as "must be a number". It does not quote the value."""
    message = _MESSAGES.get(error["type"])
    return message.format_map(error.get("ctx", {})) if message else error["msg"].removeprefix("Value error, ")
