"""The page at `/`, a demonstration that uses only the public API. Static files.

CONSOLE=true switches it on. It is not part of /openapi.json.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_PAGE = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """The configuration of the page."""

    supabase_url: str
    publishable_key: str
    remembers: bool = False  #: whether AimHarder passwords can be stored, encrypted
    members: Sequence[tuple[str, str]] = ()  #: e-mail and password of demo members, on a local stack only


def console_routes(console: Console) -> list[Route]:
    """Returns the routes. The files are read once; no other path is served."""
    headers = {"Content-Security-Policy": _policy(console.supabase_url), "Cache-Control": "no-cache"}
    config = {
        "supabase_url": console.supabase_url,
        "publishable_key": console.publishable_key,
        "remembers": console.remembers,
        "members": [{"email": email, "password": password} for email, password in console.members],
    }

    async def read_config(_: Request) -> Response:
        return JSONResponse(config, headers=headers)

    files = [_file(path, headers) for path in sorted(_PAGE.iterdir()) if path.suffix in _TYPES]
    return [*files, Route("/console/config.json", read_config)]


def _file(path: Path, headers: dict[str, str]) -> Route:
    content = path.read_bytes()
    tagged = headers | {"ETag": f'"{hashlib.sha256(content).hexdigest()[:16]}"'}

    async def serve(request: Request) -> Response:
        if request.headers.get("if-none-match") == tagged["ETag"]:
            return Response(status_code=304, headers=tagged)
        return Response(content, headers=tagged, media_type=_TYPES[path.suffix])

    return Route("/" if path.name == "index.html" else f"/console/{path.name}", serve)


def _policy(supabase_url: str) -> str:
    """Returns the Content-Security-Policy: no inline scripts, no eval, connections only to this origin and Supabase."""
    supabase = urlsplit(supabase_url)
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            f"connect-src 'self' {supabase.scheme}://{supabase.netloc}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
