"""What the API shows of a message whose publisher wants parts of it unseen; what is delivered stays as it is."""

import re
from hashlib import sha256

_FIELD = re.compile(r"headers?(\[(?P<name>[^\]]+)\])?|body")


class Redaction:
    """`text`: the value of Upstash-Redact-Fields, such as `body,header[Authorization]`. Raises ValueError."""

    def __init__(self, text: str) -> None:
        self.body = False
        self._all_headers = False
        self._headers: set[str] = set()
        for field in filter(None, (field.strip() for field in text.split(","))):
            if not (found := _FIELD.fullmatch(field)):
                raise ValueError(f"unknown field: {field}")
            if field == "body":
                self.body = True
            elif name := found["name"]:
                self._headers.add(name.lower())
            else:
                self._all_headers = True

    def shown(self, body: bytes) -> bytes:
        return _hidden(body) if self.body else body

    def shown_headers(self, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """Returns the headers by lower-case names."""
        return tuple(
            (name, _hidden(value.encode()).decode() if self._all_headers or name in self._headers else value)
            for name, value in headers
        )


def _hidden(value: bytes) -> bytes:
    return f"REDACTED:{sha256(value).hexdigest()}".encode()
