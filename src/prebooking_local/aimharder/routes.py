"""The table of addresses."""

from collections.abc import Callable

from prebooking_local.aimharder import account_routes, box_routes
from prebooking_local.aimharder.gym import Box
from prebooking_local.aimharder.request import ES
from prebooking_local.aimharder.site import Call
from prebooking_local.aimharder.wire import Answer, as_html, redirect

_ACCOUNT: dict[tuple[str, str], Callable[[Call], Answer]] = {
    ("POST", "/api/login"): account_routes.login,
    ("GET", "/api/whoami"): account_routes.whoami,
    ("POST", "/api/tokenUpdate"): account_routes.token_update,
    ("GET", "/setrefresh"): account_routes.setrefresh,
}
_BOX: dict[tuple[str, str], Callable[[Call, Box], Answer]] = {
    ("GET", "/api/bookings"): box_routes.bookings,
    ("POST", "/api/book"): box_routes.book,
    ("POST", "/api/cancelBook"): box_routes.cancel,
    ("GET", "/api/nextBookings"): box_routes.upcoming,
    ("GET", "/schedule"): box_routes.schedule,
}
_DOMAINS = ("aimharder.com", ES)


def answer(call: Call) -> Answer:
    request = call.request
    if request.refusal is not None:
        return as_html("Bad Request", request.refusal)
    address = request.method, request.path
    if address in _ACCOUNT:
        return _ACCOUNT[address](call)
    box = call.site.gym.boxes.get(request.box or "")
    if box is not None and request.domain in _DOMAINS and request.domain != box.domain:
        return redirect(f"https://{box.slug}.{box.domain}{request.path}", 301)
    if box is not None and address in _BOX:
        return _BOX[address](call, box)
    return as_html("<h1>404</h1>", 404)
