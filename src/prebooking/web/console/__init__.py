"""The page at `/`, for people who want to see the service work: files as they are, and nothing but the public API.

It is switched on by CONSOLE, and is no part of the contract in /openapi.json.
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
    """What the page has to know of its surroundings."""

    supabase_url: str
    publishable_key: str
    remembers: bool = False  #: a password for AimHarder can be kept, sealed
    members: Sequence[tuple[str, str]] = ()  #: e-mail and password of demo members to pick from, on a local stack


def console_routes(console: Console) -> list[Route]:
    """Read once: what is not one of these files can't be asked for."""
    headers = {"Content-Security-Policy": _policy(console.supabase_url), "Cache-Control": "no-cache"}
    config = {
        "supabase_url": console.supabase_url,
        "publishable_key": console.publishable_key,
        "remembers": console.remembers,
        "members": [{"email": email, "password": password} for email, password in console.members],
    }

    async def tell_config(_: Request) -> Response:
        return JSONResponse(config, headers=headers)

    files = [_file(path, headers) for path in sorted(_PAGE.iterdir()) if path.suffix in _TYPES]
    return [*files, Route("/console/config.json", tell_config)]


def _file(path: Path, headers: dict[str, str]) -> Route:
    content = path.read_bytes()
    tagged = headers | {"ETag": f'"{hashlib.sha256(content).hexdigest()[:16]}"'}

    async def serve(request: Request) -> Response:
        if request.headers.get("if-none-match") == tagged["ETag"]:
            return Response(status_code=304, headers=tagged)
        return Response(content, headers=tagged, media_type=_TYPES[path.suffix])

    return Route("/" if path.name == "index.html" else f"/console/{path.name}", serve)


def _policy(supabase_url: str) -> str:
    """Nothing inline, nothing evaluated, nobody but us and Supabase."""
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
