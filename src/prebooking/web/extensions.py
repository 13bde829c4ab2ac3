"""Extensions of the ASGI scope, by which the application controls the connection of a request."""

from starlette.types import Scope

ABORT = "prebooking.abort"
AUTHENTICATED = "prebooking.authenticated"


def abort(scope: Scope) -> None:
    """Resets the connection. Does nothing if the server has no such extension."""
    _call(scope, ABORT)


def authenticated(scope: Scope) -> None:
    """Marks the connection as authenticated, which exempts it from the limits of unauthenticated connections."""
    _call(scope, AUTHENTICATED)


def _call(scope: Scope, name: str) -> None:
    extension = scope.get("extensions", {}).get(name)
    if extension is not None:
        extension["call"]()
