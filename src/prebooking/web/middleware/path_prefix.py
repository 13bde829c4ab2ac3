"""Strips a path prefix that a proxy passes on, as ASGI's `root_path` or not."""

from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send


class Prefix:
    """Serves the application below `prefix`, too."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = unquote(prefix)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            root = scope.get("root_path", "").rstrip("/")
            if not root and f"{scope['path']}/".startswith(f"{self._prefix}/"):
                root = self._prefix
            scope["root_path"] = root
        await self._app(scope, receive, send)


def path_of(scope: Scope) -> str:
    """Returns the path without the prefix."""
    path, root = str(scope["path"]), scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
