"""A path before ours: a proxy's, which it takes away, or passes on and perhaps names as ASGI's `root_path`."""

from collections.abc import Callable
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send


class Prefix:
    """Makes what is asked below `prefix` ours, unless one of our own routes is called so (`is_route`)."""

    def __init__(self, app: ASGIApp, prefix: str, is_route: Callable[[Scope], bool]) -> None:
        self._app = app
        self._prefix = unquote(prefix)
        self._is_route = is_route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            root = scope.get("root_path", "").rstrip("/")
            below = self._prefix and f"{scope['path']}/".startswith(f"{self._prefix}/")
            if not root and below and not self._is_route(scope):
                root = self._prefix
            scope["root_path"] = root
        await self._app(scope, receive, send)


def path_of(scope: Scope) -> str:
    """As our routes have it."""
    path, root = str(scope["path"]), scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
