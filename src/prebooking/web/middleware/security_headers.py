"""Security headers of every response: no caching, no framing, no content sniffing, no content of other origins."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from prebooking.web.middleware.headers import with_headers

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_HTTPS_ALONE = {"Strict-Transport-Security": "max-age=31536000"}


class SecurityHeaders:
    """A header that the route sets takes precedence."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = _HEADERS | (_HTTPS_ALONE if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        def add(headers: MutableHeaders) -> None:
            for name, value in self._headers.items():
                headers.setdefault(name, value)

        await self._app(scope, receive, with_headers(send, add))
