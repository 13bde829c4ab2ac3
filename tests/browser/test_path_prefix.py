"""The page and the API behind a proxy that serves them under a path."""

from collections.abc import AsyncIterator, Mapping

import httpx
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from tests.browser.page_checks import Watched

from prebooking_local.serving import serve_asgi

_OF_ONE_CONNECTION = {"host", "connection", "content-length", "transfer-encoding"}


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _OF_ONE_CONNECTION}


def under_a_path(service: httpx.AsyncClient) -> Starlette:
    """As `location /classes/ { proxy_pass http://service/; }` of nginx."""

    async def pass_on(request: Request) -> StreamingResponse:
        asked = service.build_request(
            request.method,
            f"/{request.path_params['path']}",
            params=request.url.query,
            headers=_passed_on(request.headers),
            content=await request.body(),
            timeout=None,
        )
        answer = await service.send(asked, stream=True)

        async def body() -> AsyncIterator[bytes]:
            async for part in answer.aiter_raw():
                yield part
            await answer.aclose()

        return StreamingResponse(body(), answer.status_code, _passed_on(answer.headers))

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return Starlette(routes=[Route("/classes/{path:path}", pass_on, methods=methods)])


async def test_the_page_works_under_a_path(page: Watched) -> None:
    page.put_up()
    async with (
        httpx.AsyncClient(base_url=page.world.url) as service,
        serve_asgi(under_a_path(service), host="127.0.0.1", port=0) as proxy,
    ):
        await page.sign_in(at=f"{proxy}/classes/")
        card = await page.prebook()
        await expect(card.locator(".status")).to_have_text("waiting")
        await card.get_by_role("button", name="Cancel").click()
        await expect(card.locator(".status")).to_have_text("cancelled")
        page.hosts.discard(proxy.removeprefix("http://"))
        await page.page.goto("about:blank")
