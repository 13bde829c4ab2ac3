"""A process that stood still, and goes on with what was asked of it long ago."""

import asyncio
import json

import psutil
from tests.processes.one_wish import ANA, wish_body

from prebooking_local.stack import Stack, service


async def until_stopped(process: psutil.Process) -> None:
    while process.status() != psutil.STATUS_STOPPED:
        await asyncio.sleep(0.001)


async def test_who_hung_up_while_it_stood_still_gets_nothing_that_nobody_waits_for(stack: Stack) -> None:
    async with service(stack):
        [frozen] = psutil.Process(stack.processes["service"].pid).children()  # the first holds the leash
        body = json.dumps(await wish_body(stack, opens_in_s=60)).encode()
        host, _, port = stack.service_url.removeprefix("http://").partition(":")
        headers = stack.headers(ANA.email) | {
            "Host": host,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        head = "POST /prebookings HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        frozen.suspend()
        await until_stopped(frozen)
        for _ in range(10):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"{head}\r\n".encode() + body)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        frozen.resume()

        listed = await stack.http.get(f"{stack.service_url}/prebookings", headers=stack.headers(ANA.email))
        assert listed.json()["prebookings"] == []
        created = await stack.http.post(f"{stack.service_url}/prebookings", headers=headers, content=body)
        assert created.status_code == 201
