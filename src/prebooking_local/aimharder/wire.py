"""An answer, and its bytes on the wire."""

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

JSON = "application/json; charset=UTF-8"
HTML = "text/html; charset=UTF-8"


@dataclass(slots=True)
class Answer:
    """`says` is the JSON decided, if it is JSON. There is no Date header, since none was ever recorded."""

    status: int
    body: bytes
    content_type: str
    says: Any = None
    headers: list[tuple[str, str]] = field(default_factory=list)

    def set_cookie(self, name: str, value: str, attributes: str) -> None:
        self.headers.append(("Set-Cookie", f"{name}={value}{attributes}; Path=/"))


def as_json(says: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(says, ensure_ascii=False).encode(), JSON, says)


def as_html(body: str, status: int = 200) -> Answer:
    return Answer(status, f"<!DOCTYPE html><html><body>{body}</body></html>".encode(), HTML)


def redirect(location: str, status: int) -> Answer:
    answer = as_html("", status)
    answer.headers.append(("Location", location))
    return answer


def encode(answer: Answer, *, keep_alive: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        *(f"{name}: {value}" for name, value in answer.headers),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + answer.body
