"""What the application tells the server about the connection of a request: extensions of the ASGI scope."""

from starlette.types import Scope

ABORT = "prebooking.abort"
AUTHENTICATED = "prebooking.authenticated"


def abort(scope: Scope) -> None:
    """Drops the connection, sent or not. Does nothing where the server can't."""
    _call(scope, ABORT)


def authenticated(scope: Scope) -> None:
    """Tells that whoever sent this request is known: its connection is no stranger's any more."""
    _call(scope, AUTHENTICATED)


def _call(scope: Scope, name: str) -> None:
    extension = scope.get("extensions", {}).get(name)
    if extension is not None:
        extension["call"]()
