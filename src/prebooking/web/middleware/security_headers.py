"""What every answer tells browsers: nothing here is a page, to be kept, to be framed or to be guessed at."""

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
    """A route's own header of the same name stands."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = _HEADERS | (_HTTPS_ALONE if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        def add(headers: MutableHeaders) -> None:
            for name, value in self._headers.items():
                headers.setdefault(name, value)

        await self._app(scope, receive, with_headers(send, add))
