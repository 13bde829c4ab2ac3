"""Filters and pages of lists, from a request's query."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import QueryParams

from prebooking_local.qstash.refusal import RefusedError

View = dict[str, Any]

_NOT_FILTERS = {"cursor", "count", "order", "qstash_token"}
_FILTERS: dict[str, Callable[[View], Any]] = {
    "messageId": lambda view: view.get("messageId"),
    "messageIds": lambda view: view.get("messageId"),
    "dlqIds": lambda view: view.get("dlqId"),
    "state": lambda view: view.get("state"),
    "label": lambda view: view.get("label"),
    "url": lambda view: view.get("url"),
    "host": lambda view: urlsplit(view["url"]).netloc,
    "path": lambda view: urlsplit(view["url"]).path,
    "scheduleId": lambda view: view.get("scheduleId"),
    "callerIp": lambda view: view.get("callerIP"),
    "flowControlKey": lambda view: view.get("flowControlKey"),
    "responseStatus": lambda view: str(view.get("responseStatus")),
    "queueName": lambda _: None,  # this server has no queues and no URL groups: nothing matches
    "topicName": lambda _: None,
}


def selected(views: Sequence[View], query: QueryParams) -> list[View]:
    """Returns those that match every filter of the query; a filter matches any of its values, repeated or with commas.

    An unknown filter is refused, because ignoring one would let a bulk cancel take more than was meant.
    """
    kept = list(views)
    for name in query:
        if name in _NOT_FILTERS:
            continue
        if name in {"fromDate", "toDate"}:
            kept = [view for view in kept if _within(view, name, query[name])]
        elif name in _FILTERS:
            wanted = {value for text in query.getlist(name) for value in text.split(",")}
            kept = [view for view in kept if _FILTERS[name](view) in wanted]
        else:
            raise RefusedError(400, f"unknown filter {name}")
    return kept


def page(views: list[View], query: QueryParams, *, most: int) -> tuple[list[View], dict[str, str]]:
    """Returns the page that the query asks for, and where the next one begins."""
    start = whole(query, "cursor", 0)
    end = start + min(whole(query, "count", most), most)
    return views[start:end], {"cursor": str(end)} if end < len(views) else {}


def whole(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal():
        raise RefusedError(400, f"invalid {name}: {text!r} is not a whole number")
    return int(text)


def _within(view: View, name: str, text: str) -> bool:
    if not text.isdecimal():
        raise RefusedError(400, f"invalid {name}: {text!r} is not a time in milliseconds")
    at: int = view["time"] if "time" in view else view["createdAt"]
    return at >= int(text) if name == "fromDate" else at <= int(text)
