"""Headers that are set on an answer as it begins, whoever made it."""

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send


def with_headers(send: Send, change: Callable[[MutableHeaders], None]) -> Send:
    """`change` is called once, before the first byte of the answer leaves."""

    async def changed(message: Message) -> None:
        if message["type"] == "http.response.start":
            change(MutableHeaders(scope=message))
        await send(message)

    return changed
