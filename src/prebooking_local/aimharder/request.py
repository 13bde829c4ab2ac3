"""A framed request, read: which box, which path, which form and cookies."""

import json
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl, unquote, urlsplit

from prebooking_local.aimharder.framing import Frame

CONTROL = "/_control/"
ACCOUNT_PATHS = frozenset({"/api/login", "/api/whoami", "/api/tokenUpdate", "/setrefresh"})


ES, OF_ES = "aimharder.es", ".es"  # the session's cookie under aimharder.es: another value, of the same session


def _box_of_host(host: str) -> str | None:
    """`mybox.aimharder.com` names a box, `127.0.0.1:9000` and `localhost:9000` don't."""
    name = host.partition(":")[0]
    label, dot, parent = name.partition(".")
    is_address = name.startswith("[") or name.replace(".", "").isdigit()
    return label.lower() if dot and parent and not is_address else None


def box_of_url(url: str) -> str | None:
    """Returns the box that a whole URL leads to, in either form."""
    parts = urlsplit(url)
    return _locate(f"{parts.path.rstrip('/')}/", parts.netloc)[0] or _box_of_host(parts.netloc)


def _locate(path: str, host: str) -> tuple[str | None, str]:
    """Returns the box and the path within it: a path prefix plays the sub-domain, a Host header may name it too."""
    if path in ACCOUNT_PATHS or path.startswith(CONTROL):
        return None, path
    if path.startswith("/api/") or path == "/schedule":
        return _box_of_host(host), path
    box, slash, rest = path.removeprefix("/").partition("/")
    return (box, "/" + rest) if slash else (None, path)


@dataclass
class Request:
    """`path` is the one within the box; `refusal` is the status of a request that is no HTTP."""

    connection: int
    first_byte_ns: int
    last_byte_ns: int | None
    method: str
    target: str
    box: str | None
    path: str
    headers: dict[str, str]
    body: bytes
    refusal: int | None
    keep_alive: bool

    @classmethod
    def read(cls, connection: int, frame: Frame) -> "Request":
        line, *fields = frame.head.decode("latin-1").split("\r\n")
        method, target, version = [*line.split(" "), "", ""][:3]
        headers = {name.strip().lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
        is_http = line.count(" ") == 2 and target.startswith("/") and version in ("HTTP/1.1", "HTTP/1.0")
        box, path = _locate(unquote(target.partition("?")[0]), headers.get("host", "")) if is_http else (None, "")
        return cls(
            connection=connection,
            first_byte_ns=frame.first_byte_ns,
            last_byte_ns=frame.last_byte_ns,
            method=method,
            target=target,
            box=box,
            path=path,
            headers=headers,
            body=frame.body,
            refusal=frame.refusal or (None if is_http else 400),
            keep_alive=version == "HTTP/1.1" and headers.get("connection", "").lower() != "close",
        )

    @cached_property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @cached_property
    def form(self) -> dict[str, str]:
        """Returns the form. Only a body that says it is a form is one: the booking routes know no JSON."""
        if not self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return {}
        return dict(parse_qsl(self.body.decode("latin-1"), keep_blank_values=True))

    @property
    def domain(self) -> str:
        """Returns the parent domain of the host; an address or a bare name has none."""
        labels = self.headers.get("host", "").partition(":")[0].lower().split(".")
        return ".".join(labels[-2:]) if len(labels) > 1 and not labels[-1].isdigit() else ""

    @cached_property
    def cookies(self) -> dict[str, str]:
        pairs = (pair.strip().partition("=") for pair in self.headers.get("cookie", "").split(";"))
        return {name: value for name, equals, value in pairs if equals}

    @property
    def auth(self) -> str:
        """Returns the session's cookie; "" if there is none, or one of the other domain."""
        value = self.cookies.get("amhrdrauth", "")
        if self.domain != ES:
            return value
        return value.removesuffix(OF_ES) if value.endswith(OF_ES) else ""

    @cached_property
    def login_name(self) -> str | None:
        """Returns the name of who wants to log in."""
        if self.path != "/api/login":
            return None
        try:
            return str(json.loads(self.body)["username"])
        except (ValueError, KeyError, TypeError):
            return None

    @property
    def is_control(self) -> bool:
        return self.path.startswith(CONTROL)
